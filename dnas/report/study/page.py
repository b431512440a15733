"""The study's page: one HTML file without scripts that opens without a network."""

from collections.abc import Mapping
from html import escape
from typing import Any

from dnas.report import parts
from dnas.report.page import POLICY
from dnas.report.study import arms, baselines, found, pairs, progress, ranking
from dnas.report.study.parties import View, listed, rank, score, spaced
from dnas.report.study.style import STYLE as OWN
from dnas.report.theme import STYLE
from dnas.report.words import duration, plural
from dnas.study.outputs import regret
from dnas.study.record import Study
from dnas.study.statistics import average, compare
from dnas.study.verdict import judge


def study_page(study: Study) -> str:
    """Return the whole page; the same study gives the same bytes."""
    view = View(study)
    content = [
        _head(view),
        _tiles(view),
        arms.methods(view),
        progress.anytime(view),
        progress.health(view),
        baselines.costs(view),
        ranking.ranking(view),
        pairs.pairs(view),
        found.architectures(view),
        found.failures(view),
        _settings(study),
        _command(study),
    ]
    return parts.document(f"dnas study: {study.name}", POLICY, STYLE + OWN, content)


def _head(view: View) -> str:
    study, verdict = view.study, judge(view.study)
    facts = [
        f"dnas study {study.name}",
        f"space {study.space}",
        f"data {study.data}",
        f"{'seed' if len(study.seeds) == 1 else 'seeds'} {listed(study.seeds)}" if study.seeds else "",
    ]
    notes = [f"{note[:1].upper()}{note[1:]}." for note in verdict.notes]
    failed = '<p><a href="#failed">Why they failed</a></p>' if view.failures else ""
    return "\n".join(
        [
            parts.paragraph(" \u00b7 ".join(fact for fact in facts if fact), "over"),
            f'<header class="verdict {verdict.kind}">',
            f"<h1>{escape(spaced(verdict.headline))}</h1>",
            parts.paragraph(spaced(" ".join([*notes, _caution(view)]))),
            failed,
            "</header>",
        ]
    )


def _caution(view: View) -> str:
    """Say how far so few seeds carry."""
    if view.best is None:
        return ""
    if view.best.summary.n == 1:
        return "One seed says little about a method: another seed may find another architecture."
    comparisons = compare(view.study)
    return pairs.significance(comparisons) if comparisons else ""


def _tiles(view: View) -> str:
    study = view.study
    counts = f"{plural(len(study.arms), 'method')}, {plural(len(study.seeds), 'seed')}"
    failed = f"; {len(view.failures)} failed" if view.failures else ""
    tiles = [parts.tile("Finished runs", f"{len(view.runs)} of {len(study.outcomes)}", counts + failed)]
    if view.best:
        summary = view.best.summary
        spread = f", std {100 * summary.std:.2f}" if summary.std is not None else ""
        label = "Best method's mean" if len(view.arms) > 1 else "Mean score"
        tiles.append(parts.tile(label, score(summary.mean), view.best.name + spread))
        top = max(view.runs, key=lambda one: one.score or 0.0)
        place = f", rank {rank(top.rank)} of {view.size:,}" if top.rank is not None else ""
        tiles.append(parts.tile("Best architecture found", score(top.score), f"{top.arm}, seed {top.seed}{place}"))
        tiles += _references(view)
    known = [arm.summary for arm in view.arms if arm.summary.traced]
    if known:
        fallen = sum(one.collapsed for one in known)
        tiles.append(parts.tile("Collapsed", f"{fallen} of {sum(one.traced for one in known)}", "to skip connections"))
    if view.runs:
        wall = sum(one.wall_seconds for one in view.runs)
        compiling = sum(one.compile_seconds for one in view.runs)
        tiles.append(parts.tile("Wall time, all runs", duration(wall), f"and compiling: {duration(compiling)}"))
    return f'<dl class="tiles">{"".join(tiles)}</dl>'


def _references(view: View) -> list[str]:
    """Return tiles of what the scores are to be held against."""
    truth, best = view.study.truth, view.best
    if truth is None or best is None:
        chance = [score for one in view.runs for score in one.random_scores]
        note = f"mean of {len(chance)}, retrained likewise"
        return [parts.tile("Random architectures", score(average(chance)), note)] if chance else []
    mean = float(truth.scores.mean(dtype=float))
    tiles = [parts.tile("Random architecture", score(mean), f"mean of all {view.size:,}")]
    rivals = truth.same_cost.get(best.name) or {}
    if rivals:
        name, rival = max(rivals.items(), key=lambda item: item[1])
        tiles.append(parts.tile("Best baseline, same cost", score(rival), f"{name}, at the cost of {best.name}"))
    nearest = min(missed for one in view.runs if (missed := regret(view.study, one)) is not None)
    note = f"best found: {100 * nearest:.2f} points below" if nearest else "it was found"
    return [*tiles, parts.tile("Optimum of the space", score(float(truth.scores.max())), note)]


def _settings(study: Study) -> str:
    groups: dict[str, dict[str, Any]] = {}
    for name, value in study.settings.items():
        head, dot, rest = name.partition(".")
        groups.setdefault(f"Settings: {head}" if dot else "Settings", {})[rest or head] = value
    about: Mapping[str, Any] = {
        "name": study.name,
        "space": study.space,
        "data": study.data,
        "score": study.measure,
        "methods": ", ".join(study.arms),
        "seeds": ", ".join(map(str, study.seeds)),
    }
    tables = [
        parts.values("Study", about),
        parts.values("Environment", study.environment),
        *(parts.values(heading, rows) for heading, rows in groups.items()),
    ]
    return parts.section("Environment and settings", f'<div class="columns">{"".join(tables)}</div>')


def _command(study: Study) -> str:
    if not study.command:
        return ""
    commit = study.environment.get("git_commit")
    where = f"In a checkout of commit {commit}, with" if commit else "With"
    return parts.section(
        "To run it again",
        parts.paragraph(f"{where} the versions listed above:", "soft"),
        f'<div class="card"><pre class="command">{escape(study.command)}</pre></div>',
    )
