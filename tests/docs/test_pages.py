"""The pages of the site are true: their Python runs, their pictures are sound, and they fetch nothing."""

import importlib.util
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import ModuleType

import pytest

import dnas

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = {path.relative_to(DOCS).as_posix(): path for path in sorted(DOCS.rglob("*.md"))}
TINY = {
    r"\bchannels=\d+": "channels=2",
    r"\bnodes=2\b": "nodes=1",
    r"\brange\(10\)": "range(1)",
    r"\bepochs=5\b": "epochs=1",
    r"\(16, 32\)": "(2, 4)",
    r"in \(0, 1\)": "in (1,)",
}
"""What is made smaller in the pages' Python before it is run."""


def hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"hook_{name}", DOCS / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", [name for name, path in PAGES.items() if blocks(path)])
def test_the_python_of_a_page_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for block in blocks(PAGES[page]):
        code = block
        for pattern, small in TINY.items():
            code = re.sub(pattern, small, code)
        exec(compile(code, page, "exec"), names)


def test_every_public_name_is_in_the_reference() -> None:
    reference = hook("reference")
    text = reference.names()
    assert [name for name in dnas.__all__ if f"::: {reference.identifier(name)}\n" not in text] == []
    assert [name for name in dnas.__all__ if f"heading: dnas.{name}\n" not in text] == []


def test_every_method_is_in_the_table_of_methods() -> None:
    table = hook("methods").table()
    methods = [
        name for name in dnas.__all__ if getattr(getattr(dnas, name), "__module__", "").startswith("dnas.methods.")
    ]
    assert len(methods) >= 24
    assert [name for name in methods if f"[`{name}`]" not in table] == []


def test_sections_of_readme_are_cut_at_the_next_heading_of_their_level() -> None:
    section = hook("readme").section
    assert "### A front instead of a limit" in section("A limit for your device")
    assert "## Several devices" not in section("A limit for your device")
    assert "A front instead of a limit" not in section("Speed")


@pytest.mark.parametrize("picture", sorted(DOCS.glob("pictures/*.svg")), ids=lambda path: path.name)
def test_pictures_stand_alone(picture: Path) -> None:
    svg = ET.parse(picture).getroot()
    assert svg.findtext("{http://www.w3.org/2000/svg}title")
    # A ground of its own makes it legible on light and on dark pages.
    ground = svg.find("{http://www.w3.org/2000/svg}rect")
    assert ground is not None
    assert ground.get("fill") == "#ffffff"
    assert "http" not in picture.read_text().replace("http://www.w3.org/2000/svg", "")
