"""The searches of a front: one supernet for each seed, as run directories that go on where they stopped."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dnas.errors import UserError, reason
from dnas.hardware.model import CostModel
from dnas.pareto.candidates import spread_limits
from dnas.pareto.front import library
from dnas.pareto.price import price
from dnas.pareto.request import Request
from dnas.report import write_report
from dnas.report.fields import read_object
from dnas.run import pipeline, planning
from dnas.run.config import SCHEMA
from dnas.run.console import Screen
from dnas.run.directory import CONFIG, PROGRESS, RESULT, RunDirectory
from dnas.run.interrupt import Stop
from dnas.run.phase import Diverged
from dnas.run.pipeline import Misaligned
from dnas.run.planning import Plan
from dnas.study.jobs import FAILED
from dnas.study.judge import Judge
from dnas.study.request import difference

RECORD = "front.json"


class Seed(NamedTuple):
    """One search of a front: its seed, its place, and its plan."""

    number: int
    path: Path
    plan: Plan

    @property
    def failed(self) -> bool:
        """Whether it diverged."""
        return (self.path / FAILED).is_file()


class Prepared(NamedTuple):
    """A checked front: everything that can be refused has been, and nothing has been written.

    Attributes:
        seeds: its searches.
        judge: how architectures are judged.
        model: what they cost, with the columns of the space.
        limits: the targets.
    """

    seeds: tuple[Seed, ...]
    judge: Judge
    model: CostModel
    limits: tuple[float, ...]


def prepare(request: Request, root: Path, screen: Screen) -> Prepared:
    """Check a front and what is there of it in the directory `root`.

    Raises:
        UserError: for a directory of something else; for data, settings, a table or hardware that do not fit; for runs
            that were made with other settings or data; and without the library that measures fronts.
    """
    library()
    check_place(root)
    first = request.config(request.searches.seeds[0])
    judge = request.judge(first.data)
    seeds: list[Seed] = []
    like: Plan | None = None
    for number in request.searches.seeds:
        path, config = request.folder(root, number), request.config(number)
        if (path / CONFIG).is_file():
            other = difference(config, read_object(path / CONFIG).schema(SCHEMA).value)
            if other:
                raise UserError(
                    f"the run {str(path)!r} was made with {other}: choose another --out or --runs, or ask for the same"
                )
            _, like = pipeline.reopen(path, request.searches.data_dir, screen, like=like, watch=judge.watch)
        else:
            _check_free(path)
            like = planning.plan(config, request.searches.data_dir, like=like, watch=judge.watch)
        seeds.append(Seed(number, path, like))
    plan = seeds[0].plan
    if judge.table is None and plan.search is not None and plan.search.search.judge is not None:
        raise UserError(
            f"{request.searches.arms[0].method} trains no supernet, whose accuracy would be the front's axis: choose a "
            f"method that does, such as spos, or a space with a table of true accuracies"
        )
    model = price(request, plan, judged=judge.table is not None)
    _check_axis(request, root, model)
    return Prepared(tuple(seeds), judge, model, spread_limits(plan.space, model, request.targets))


def check_place(root: Path) -> None:
    """Raise `UserError` unless `root` is new, an empty folder, or the directory of a front."""
    try:
        if root.is_dir():
            known = (root / RECORD).is_file() or any(root.glob("runs/seed-*"))
            taken = not known and any(root.iterdir())
        else:
            taken = root.exists()
    except OSError as error:
        raise UserError(f"cannot read the directory {str(root)!r} ({reason(error)}): choose another --out") from None
    if taken:
        raise UserError(
            f"{str(root)!r} is not the directory of a front (it holds neither {RECORD} nor runs/seed-N): choose a new "
            f"or an empty one with --out"
        )


def _check_free(path: Path) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UserError(f"{str(path)!r} holds something that is no run of dnas: choose another --out or --runs")


def _check_axis(request: Request, root: Path, model: CostModel) -> None:
    """Refuse to replace a front of another cost."""
    if not (root / RECORD).is_file():
        return
    written = read_object(root / RECORD).text("title")
    if written != model.title:
        raise UserError(
            f"{str(root)!r} holds a front of {written or 'something else'}, but {model.title} is asked for: choose "
            f"another --out, with --runs {str(request.runs or root / 'runs')!r} for the same supernets"
        )


def search(prepared: Prepared, screen: Screen, stop: Stop, command: str, *, together: bool) -> list[Seed]:
    """Do what is left of the searches and return those that ended well.

    Args:
        prepared: the front.
        screen: where progress is shown.
        stop: asked between two chunks of work.
        command: what each run names as its origin.
        together: whether seeds that have not begun are searched with as one compiled program.

    Raises:
        Interrupted: if the user asked to stop.
        Diverged: if all searches did.
    """
    fresh = [one for one in prepared.seeds if not (one.path / CONFIG).is_file()]
    if together and len(fresh) > 1:
        _together(fresh, screen, stop, command)
    last: Diverged | None = None
    for one in prepared.seeds:
        if one.failed or (one.path / RESULT).is_file():
            continue
        begun = (one.path / CONFIG).is_file()
        run = RunDirectory.open(one.path) if begun else pipeline.start(one.plan, one.path, False, command)
        screen.say(f"== seed {one.number}" + (", goes on" if begun and not (one.path / PROGRESS).is_file() else ""))
        with run.lock():
            try:
                pipeline.execute(run, one.plan, screen, stop)
                write_report(run.path)
            except Diverged as error:
                last = error
                run.write(FAILED, {"note": str(error)})
        stop.check()
    ended = [one for one in prepared.seeds if not one.failed]
    for one in prepared.seeds:
        if one.failed:
            screen.warn(f"seed {one.number}: {read_object(one.path / FAILED).text('note')}")
    if not ended:
        raise last or Diverged("the searches of all seeds diverged, as their failed.json say")
    return ended


def _together(fresh: Sequence[Seed], screen: Screen, stop: Stop, command: str) -> None:
    runs = [(pipeline.start(one.plan, one.path, False, command), one.plan) for one in fresh]
    try:
        failures = pipeline.search_all(runs, screen, stop)
    except Misaligned as why:
        screen.say(str(why))
        return
    for (run, _), failure in zip(runs, failures, strict=True):
        if failure is not None:
            run.write(FAILED, {"note": str(failure)})
