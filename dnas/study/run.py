"""A study from its request to its page, as one function."""

from collections.abc import Sequence
from pathlib import Path

from dnas.run.console import Screen
from dnas.run.interrupt import listening
from dnas.study.collect import collect
from dnas.study.execute import execute
from dnas.study.record import Study
from dnas.study.request import Request, check_seeds, parse_arms


def study(
    space: str,
    methods: Sequence[str],
    seeds: int | Sequence[int],
    folder: str | Path,
    *,
    data: str | None = None,
    preset: str = "small",
    settings: Sequence[str] = (),
    truth: str | None = None,
    table: str | Path | None = None,
    ranking: int = 100,
    together: bool = False,
    data_dir: str | Path | None = None,
    command: str = "dnas.study.study(...)",
    screen: Screen | None = None,
) -> Study:
    """Run each method with each seed, judge what they find, and write `study.html`, `study.csv` and `study.json`.

    Runs that are complete are left alone, so that a study can be stopped, continued, and extended by methods and seeds.

    Args:
        space: name of the search space.
        methods: names of methods, perhaps with settings of their own: `darts`, `darts@search.alpha_lr=0.003`.
        seeds: how many (0, 1, ...), or which.
        folder: the study's directory; runs lie in `runs/METHOD/seed-N` below it.
        data: data set to search on; `None` takes the preset's.
        preset: named set of settings to start from.
        settings: `name=value` settings of all runs.
        truth: data set of the space's table whose test accuracy is the score, or `retrain` to train what was found;
            `None` takes the searched data set, and retrains where the space has no table.
        table: file of the table; `None` looks for it where data sets lie.
        ranking: architectures for the quality of the supernet's ranking; 0 leaves it out.
        together: whether the seeds of a method run as one compiled program (`vmap` over the whole search state).
        data_dir: folder of downloaded data sets; `None` takes `$DNAS_DATA`.
        command: what the runs name as their origin.
        screen: where progress is shown; standard output if it is `None`.

    Raises:
        UserError: for settings, data or a table that do not fit, for a `folder` of something else, and for runs in it
            that are damaged or were made with other settings or data.
        Interrupted: after Ctrl-C or SIGTERM; what was done is kept.
    """
    request = Request(
        space=space,
        arms=parse_arms(methods),
        seeds=check_seeds(seeds),
        data=data,
        preset=preset,
        assignments=tuple(settings),
        truth=truth,
        table=Path(table) if table else None,
        ranking=ranking,
        together=together,
        data_dir=str(data_dir) if data_dir else None,
    )
    return run(request, Path(folder), screen or Screen(), command)


def run(request: Request, root: Path, screen: Screen, command: str) -> Study:
    """Do what is left of the study in `root` and write its outputs; errors as for `study`."""
    from dnas.report.study import write_study

    with listening() as stop:
        judge = execute(request, root, screen, stop, command)
    with screen.working("putting the study together"):
        made = collect(request, root, judge, command)
        write_study(made, root)
    return made
