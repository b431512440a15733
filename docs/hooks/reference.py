"""The reference: one generated page for each part of the library, made of what its modules say of themselves.

The build fails if a public name of `dnas` is on none of them, or if a module belongs to no page.
"""

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

import dnas

ROOT = Path(__file__).resolve().parents[2]
OWN = "reference/dnas.md"
PAGES: dict[str, tuple[str, tuple[str, ...]]] = {
    "search-spaces": ("Search spaces", ("search_spaces",)),
    "composing": (
        "Composing a search",
        (
            "search",
            "types",
            "genotype",
            "parts",
            "optimizers",
            "losses",
            "tasks",
            "find",
            "finding",
            "scoring",
            "architectures",
        ),
    ),
    "relaxations": ("Relaxations", ("relaxations",)),
    "hypergradients": ("Hypergradients", ("hypergradients",)),
    "selection": ("Selection", ("selection", "evolving", "finalists", "proxies")),
    "regularisers": (
        "Regularisers and stopping",
        ("regularisers", "stopping", "fewshot", "stages", "shrinking", "splitting"),
    ),
    "costs": ("Costs and limits", ("hardware", "objectives", "costs", "path_costs", "macs", "pareto")),
    "data": ("Data", ("data", "table", "benchmarks")),
    "networks": ("Networks", ("nn", "train", "choices", "own_space", "export")),
    "studies": ("Studies, fronts and reports", ("study", "report", "display", "run")),
    "devices": (
        "Devices and programs",
        ("devices", "chunks", "checkpoint", "compiling", "errors", "arguments", "plugins"),
    ),
}
ELSEWHERE = ("methods", "cli", "bench")
"""Methods are public names of `dnas`; the other two are programs."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages."""
    modules = _modules()
    taken: set[str] = set()
    for name, (title, prefixes) in PAGES.items():
        own = [module for module in modules if _part(module) in prefixes]
        taken.update(own)
        _add(files, config, f"reference/{name}.md", page(title, own))
    left = sorted({_part(module) for module in modules if module not in taken} - {*ELSEWHERE, ""})
    if left:
        raise PluginError(f"docs/hooks/reference.py: no page of the reference holds {', '.join(left)}")
    _add(files, config, OWN, names())
    return files


def on_post_build(config: MkDocsConfig) -> None:
    """Fail where a public name of `dnas` has no entry."""
    text = Path(config["site_dir"], OWN).with_suffix(".html").read_text(encoding="utf-8")
    lacking = [name for name in dnas.__all__ if f'id="{identifier(name)}"' not in text]
    if lacking:
        raise PluginError(f"the reference lacks {', '.join(lacking)}")


def page(title: str, modules: list[str]) -> str:
    """Return a page about modules."""
    return "\n\n".join([f"# {title}", *(f"::: {module}" for module in modules), ""])


def names() -> str:
    """Return the page of what `dnas` itself offers: methods first, then the other functions, then values."""
    public = {name: getattr(dnas, name) for name in dnas.__all__}
    kinds: dict[str, list[str]] = {"Methods": [], "Functions": [], "Values": [], "Modules": []}
    for name, value in public.items():
        kinds[_kind(value)].append(name)
    parts = ["# Methods and values"]
    for kind, listed in kinds.items():
        if listed:
            parts += [f"## {kind}", *(_entry(name) for name in listed)]
    return "\n\n".join([*parts, ""])


def identifier(name: str) -> str:
    """Return where the public name is defined, if a module of the same name would be taken for it, or `dnas.NAME`."""
    value = getattr(dnas, name)
    module = getattr(value, "__module__", "")
    if module.endswith(f".{name}") and _kind(value) != "Methods":
        return f"{module}.{name}"
    return f"dnas.{name}"


def _entry(name: str) -> str:
    options = {"heading": f"dnas.{name}", "toc_label": name, "heading_level": 3}
    if _kind(getattr(dnas, name)) == "Modules":
        # What a module holds stands on a page of its own; one name has one place.
        options["members"] = "false"
    lines = [f"      {option}: {value}" for option, value in options.items()]
    return "\n".join([f"::: {identifier(name)}", "    options:", *lines])


def _kind(value: Any) -> str:
    module = getattr(value, "__module__", "")
    if module.startswith("dnas.methods."):
        return "Methods"
    return "Values" if isinstance(value, type) else "Functions" if callable(value) else "Modules"


def _modules() -> list[str]:
    """Return the importable name of every public module that says something of itself."""
    found = []
    for package in ("dnas", "search_spaces"):
        for path in sorted((ROOT / package).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            if not any(part.startswith("_") for part in parts):
                found.append(".".join(parts))
    return found


def _part(module: str) -> str:
    """Return the part of the library that a module belongs to: `relaxations` for `dnas.relaxations.softmax`."""
    package, _, rest = module.partition(".")
    return package if package == "search_spaces" else rest.partition(".")[0]


def _add(files: Files, config: MkDocsConfig, path: str, text: str) -> None:
    files.append(File.generated(config, path, content=text))
