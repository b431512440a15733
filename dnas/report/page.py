"""The report page: one HTML file without scripts that opens without a network."""

from collections.abc import Mapping
from html import escape
from typing import Any

from dnas.hardware.limits import amount
from dnas.report import parts, sections
from dnas.report.checks import Check, check
from dnas.report.costs import costs
from dnas.report.finalists import finalists
from dnas.report.run import Run, Scored
from dnas.report.theme import STYLE
from dnas.report.verdict import judge, standard_error, wilson
from dnas.report.words import DASH, count, duration, percent, plural

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""What the page may load: nothing; a browser enforces it."""


def page(run: Run, drawings: Mapping[str, str]) -> str:
    """Return the whole page; `drawings` are the cells' SVG elements by group."""
    checks = check(run)
    content = [
        _head(run, checks),
        _tiles(run),
        sections.architecture(run, drawings),
        _comparison(run),
        finalists(run.finalists),
        costs(run.costs, run.cost_notes),
        *((sections.weights(run, run.search), sections.entropy(run, run.search)) if run.search else ()),
        sections.curves(run),
        _checks(checks),
        _settings(run.config),
        _command(run.config),
    ]
    return parts.document(f"dnas: {run.name}", POLICY, STYLE, content)


def _head(run: Run, checks: list[Check]) -> str:
    verdict = judge(run)
    data = run.config.get("data") or {}
    facts = [
        f"dnas run {run.name}",
        f"method {run.config.get('method')}" if run.search else "training of a given genotype",
        f"space {run.genotype.space}",
        f"data {data.get('name')}",
        f"seed {run.config.get('seed')}",
        str(run.config.get("created") or "")[:10],
    ]
    warnings = sum(not one.fine for one in checks)
    note = f'<p><a href="#checks">{plural(warnings, "warning")}</a> about this run</p>' if warnings else ""
    return "\n".join(
        [
            parts.paragraph(" \u00b7 ".join(fact for fact in facts if fact), "over"),
            f'<header class="verdict {verdict.kind}">',
            f"<h1>{escape(verdict.headline)}</h1>",
            parts.paragraph(verdict.sentence),
            note,
            "</header>",
        ]
    )


def key_numbers(run: Run) -> list[tuple[str, str, str]]:
    """Return the numbers that matter most: what each is, its value with its unit, and a note, which may be empty."""
    found = run.found
    numbers = []
    if found is not None:
        error = percent(standard_error(found.accuracy, run.images), run.images)
        numbers.append(("Test accuracy", percent(found.accuracy, run.images), f"standard error {error}"))
    if "true_accuracy" in run.known:
        rank = f"rank {run.known['rank']:,.0f} of the space" if "rank" in run.known else ""
        numbers.append(("True accuracy", f"{100 * run.known['true_accuracy']:.2f}\u00a0%", rank))
    if run.baselines:
        best = max(network.accuracy for network in run.baselines)
        numbers.append(
            (
                "Best random network" if len(run.baselines) > 1 else "Random network",
                percent(best, run.images),
                f"of {len(run.baselines)} tried" if len(run.baselines) > 1 else "same budget",
            )
        )
    if found is not None:
        numbers.append(("Parameters", count(found.params), "trained weights"))
    if found is not None and found.macs is not None:
        numbers.append(("Multiply-adds", count(found.macs), "for one image"))
    for cost in run.costs:
        if cost.predicted is not None:
            limit = f"limit {amount(cost.limit, cost.metric)}" if cost.limit is not None else "predicted"
            numbers.append((cost.title, amount(cost.predicted, cost.metric), limit))
    times = [("Search time", run.search.summary, "seconds")] if run.search else []
    for label, timed, name in [*times, ("Retraining time", run.retrain, "train_seconds")]:
        compiling = timed.get("compile_seconds")
        if timed.get(name) is not None:
            note = f"compiling: {duration(compiling)}" if compiling is not None else ""
            numbers.append((label, duration(timed[name]), note))
    return numbers


def _tiles(run: Run) -> str:
    return f'<dl class="tiles">{"".join(parts.tile(*number) for number in key_numbers(run))}</dl>'


def _comparison(run: Run) -> str:
    if run.found is None or not run.baselines:
        return ""
    networks = (run.found, *run.baselines)
    ranges = {network.name: wilson(network.accuracy, run.images) for network in networks}
    span = (min(low for low, _ in ranges.values()), max(high for _, high in ranges.values()))

    def row(network: Scored) -> tuple[str, list[str]]:
        low, high = ranges[network.name]
        cells = [
            escape(network.name),
            percent(network.accuracy, run.images),
            f"{percent(low, run.images)} {DASH} {percent(high, run.images)}",
            parts.interval(low, network.accuracy, high, span),
            count(network.params),
            count(network.macs),
        ]
        return "mine" if network is run.found else "", cells

    genotypes = "".join(
        f'<h3>{escape(network.name)}</h3><div class="card"><pre>{escape(str(network.genotype))}</pre></div>'
        for network in run.baselines
    )
    heads = ["Network", "Test accuracy", "95\u00a0% interval", "drawn", "Parameters", "Multiply-adds"]
    best_first = sorted(networks, key=lambda network: -network.accuracy)
    return parts.section(
        "Found against random",
        parts.paragraph(
            "All networks were trained and tested in the same way. The intervals (Wilson) hold the chance of "
            f"{plural(run.images, 'test image')} only: another seed moves the numbers too.",
            "soft",
        ),
        parts.scroller("comparison", parts.table(heads, [row(network) for network in best_first], "comparison")),
        f"<details><summary>The random architectures</summary>{genotypes}</details>",
    )


def _checks(checks: list[Check]) -> str:
    warnings = sum(not one.fine for one in checks)
    items = "".join(
        f'<li class="fine">{escape(one.text)}</li>'
        if one.fine
        else f'<li class="warning"><strong>Warning.</strong> {escape(one.text)}</li>'
        for one in checks
    )
    heading = plural(warnings, "warning").capitalize() if warnings else "No warnings"
    return parts.section(heading, f'<ul class="checks">{items}</ul>', name="checks")


def _settings(config: Mapping[str, Any]) -> str:
    groups: dict[str, dict[str, Any]] = {}
    for name, value in (config.get("settings") or {}).items():
        head, dot, rest = name.partition(".")
        groups.setdefault(f"Settings: {head}" if dot else "Settings", {})[rest or head] = value
    tables = [
        parts.values("Data", config.get("data") or {}),
        parts.values("Environment", config.get("environment") or {}),
        *(parts.values(heading, rows) for heading, rows in groups.items()),
    ]
    return parts.section("Data, environment and settings", f'<div class="columns">{"".join(tables)}</div>')


def _command(config: Mapping[str, Any]) -> str:
    if not config.get("command"):
        return ""
    commit = (config.get("environment") or {}).get("git_commit")
    where = f"In a checkout of commit {commit}, with" if commit else "With"
    return parts.section(
        "To run it again",
        parts.paragraph(f"{where} the versions listed above:", "soft"),
        f'<div class="card"><pre class="command">{escape(str(config["command"]))}</pre></div>',
    )
