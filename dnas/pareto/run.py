"""A front from its request to its page, as one function."""

import json
from collections.abc import Sequence
from pathlib import Path

from dnas.hardware.model import CostModel
from dnas.pareto.collect import FOLDER, looked_at, marked, measures, random_points, true_points
from dnas.pareto.record import TRUE, Front, Point
from dnas.pareto.request import Request
from dnas.pareto.search import Prepared, Seed, prepare, search
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory
from dnas.run.environment import describe
from dnas.run.interrupt import Stop, listening
from dnas.study.request import Request as Searches
from dnas.study.request import check_seeds, parse_arms


def pareto(
    space: str,
    method: str,
    seeds: int | Sequence[int],
    folder: str | Path,
    *,
    hardware: str | None = None,
    metric: str = "latency",
    targets: int = 10,
    refine: int = 200,
    data: str | None = None,
    preset: str = "small",
    settings: Sequence[str] = (),
    truth: str | None = None,
    table: str | Path | None = None,
    together: bool = False,
    data_dir: str | Path | None = None,
    runs: str | Path | None = None,
    command: str = "dnas.pareto.pareto(...)",
    screen: Screen | None = None,
) -> Front:
    """Train one supernet for each seed, and write the front of accuracy against cost that can be read off them.

    What is complete is left alone, so that the same call goes on where it was stopped.

    Args:
        space: name of the search space.
        method: name of the method, perhaps with settings of its own: `darts@search.alpha_lr=0.003`.
        seeds: how many (0, 1, ...), or which.
        folder: the front's directory.
        hardware: name of a profile or of a published machine, or a file; not needed for params, macs and memory.
        metric: what networks cost.
        targets: for how many costs the heaviest architecture within them is kept.
        refine: random architectures that are compared with the supernet's weights; 0 leaves this out.
        data: data set to search on; `None` takes the preset's.
        preset: named set of settings to start from.
        settings: `name=value` settings of all searches.
        truth: data set of the space's table whose test accuracy counts, or `supernet` for the supernet's accuracy;
            `None` takes the searched data set, and the supernet's accuracy where the space has no table.
        table: file of the table; `None` looks for it where data sets lie.
        together: whether the seeds are searched with as one compiled program.
        data_dir: folder of downloaded data sets; `None` takes `$DNAS_DATA`.
        runs: folder of the search runs, which fronts of several costs can share; `None` is `runs` in `folder`.
        command: what the runs name as their origin.
        screen: where progress is shown; standard output if it is `None`.

    Raises:
        UserError: for anything that does not fit, before anything is written.
        Diverged: if the searches of all seeds did.
        Interrupted: after Ctrl-C or SIGTERM; what was done is kept.
    """
    searches = Searches(
        space=space,
        arms=parse_arms([method]),
        seeds=check_seeds(seeds),
        data=data,
        preset=preset,
        assignments=tuple(settings),
        truth=truth,
        table=Path(table) if table else None,
        ranking=0,
        together=together,
        data_dir=str(data_dir) if data_dir else None,
    )
    request = Request(searches, hardware, metric, targets, refine, Path(runs) if runs else None)
    return run(request, Path(folder), screen or Screen(), command)


def run(request: Request, root: Path, screen: Screen, command: str) -> Front:
    """Do what is left of the front in `root` and write its outputs; errors as for `pareto`."""
    with listening() as stop:
        return execute(request, root, screen, stop, command)


def execute(request: Request, root: Path, screen: Screen, stop: Stop, command: str) -> Front:
    """Do as `run` does, stopping when `stop` says so."""
    from dnas.report.front import write_front

    prepared = prepare(request, root, screen)
    screen.say(f"directory of the front: {root}")
    ended = search(prepared, screen, stop, command, together=request.searches.together)
    points: list[Point] = []
    looks = 0
    for seed in ended:
        with screen.working(f"seed {seed.number}: what its supernet says of architectures"):
            own, asked = looked_at(seed, prepared.model, prepared.limits, request.refine, prepared.judge, stop)
        points, looks = points + own, looks + asked
    with screen.working("putting the front together"):
        front = _front(request, root, prepared, ended, points, looks, command)
        folder = root / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        for point in front.points:
            if point.file:
                RunDirectory(root).write(point.file, point.genotype.to_json())
        write_front(front, root)
    return front


def _front(
    request: Request, root: Path, prepared: Prepared, ended: Sequence[Seed], own: list[Point], looks: int, command: str
) -> Front:
    judge, model, plan = prepared.judge, prepared.model, ended[0].plan
    truth = true_points(plan.space, model, judge)
    count = len({point.genotype for point in own})
    rivals = random_points(plan.space, model, judge, count)
    seeds = tuple(seed.number for seed in ended)
    measured, box = measures([*own, *rivals], truth, seeds)
    points = [point for point in marked([*own, *rivals, *truth]) if point.kind != TRUE or point.on_front]
    return Front(
        name=root.resolve().name,
        space=plan.config.space,
        method=request.searches.arms[0].text,
        data=plan.config.data,
        seeds=seeds,
        title=model.title,
        metric=model.metric,
        measure=judge.measure,
        judged=judge.table is not None,
        targets=prepared.limits,
        looks=looks,
        points=tuple(points),
        measured=measured,
        box=box,
        about=_about(model),
        settings=json.loads(json.dumps(plan.config.to_json()["settings"])),
        command=command,
        environment=describe(),
    )


def _about(model: CostModel) -> dict[str, object]:
    """Return what the cost is of and how well it is known."""
    quality = model.quality
    return {
        "cost": model.title,
        "unit": model.unit or "number",
        "model": model.kind,
        "made from": model.source,
        "networks": ", ".join(f"{name} {value}" for name, value in model.network.items()),
        "images at once": model.batch_size,
        **({} if quality is None else {"rank correlation with the truth": round(quality.spearman, 3)}),
    }
