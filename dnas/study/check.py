"""Everything about a study that can be refused, before anything of it is run or written."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dnas.data import fingerprint
from dnas.errors import UserError
from dnas.report.fields import Fields, read_object
from dnas.run import planning
from dnas.run.config import SCHEMA, Config
from dnas.run.directory import CONFIG, RESULT
from dnas.run.planning import Plan
from dnas.study.jobs import FAILED, JUDGED, Job, check_place, jobs
from dnas.study.judge import Judge, judge_of
from dnas.study.outcome import read_outcome
from dnas.study.request import Request, difference


class Checked(NamedTuple):
    """A study that can begin, or go on.

    Attributes:
        everything: its runs, arms first.
        left: those of them with something to do.
        judge: how architectures are judged.
        plan: of one run of `left`, whose data the others share; `None` where nothing is left.
    """

    everything: list[Job]
    left: list[Job]
    judge: Judge
    plan: Plan | None


def check(request: Request, root: Path) -> Checked:
    """Check a study and what is there of it in the directory `root`.

    Raises:
        UserError: for a directory of something else; for data, settings or a table that do not fit; and for runs that
            exist but are damaged or were made with other settings or data.
    """
    check_place(root)
    everything = jobs(request, root)
    asked = [request.config(job.arm, job.seed, retrained=True) for job in everything]
    judge = judge_of(request, asked[0].data)
    configs = asked if judge.table is None else [request.config(j.arm, j.seed, retrained=False) for j in everything]
    if judge.table is None:
        _refuse_untrained(everything, configs)
    for job, config in zip(everything, configs, strict=True):
        if job.ended or (job.path / CONFIG).is_file():
            _refuse_other_settings(job, config)
        if job.ended:
            read_outcome(job, root, judge, config.data)
    left = [job for job in everything if not _settled(job, request, judge)]
    plan = _planned(request, left, judge)
    if plan is not None:
        _refuse_other_data(everything, plan)
    return Checked(everything, left, judge, plan)


def _refuse_untrained(everything: Sequence[Job], configs: Sequence[Config]) -> None:
    for job, config in zip(everything, configs, strict=True):
        if not config.values["retrain.epochs"]:
            raise UserError(
                f"setting retrain.epochs: without a table of true accuracies the networks that {job.arm.text} finds "
                f"are trained, which needs at least 1, got 0"
            )


def _written(job: Job) -> Fields:
    """Return the configuration of a run that exists; `UserError` if it is damaged."""
    return read_object(job.path / CONFIG).schema(SCHEMA)


def _refuse_other_settings(job: Job, config: Config) -> None:
    written = _written(job)
    for name in ("data", "settings", "environment"):
        written.fields(name)
    other = difference(config, written.value)
    if other:
        raise UserError(
            f"the run {str(job.path)!r} was made with {other}: choose another --study-dir, or ask for the same"
        )


def _settled(job: Job, request: Request, judge: Judge) -> bool:
    """Return whether nothing is left to do for a run."""
    if (job.path / FAILED).is_file():
        return True
    if not (job.path / RESULT).is_file():
        return False
    if judge.table is None or not request.ranking:
        return True
    path = job.path / JUDGED
    return path.is_file() and read_object(path).mapping("ranking").get("of") == request.ranking


def _planned(request: Request, left: Sequence[Job], judge: Judge) -> Plan | None:
    """Plan one run of each arm: what a run refuses does not depend on its seed."""
    plan: Plan | None = None
    for arm in request.arms:
        job = next((job for job in left if job.arm == arm), None)
        if job is not None:
            config = request.config(arm, job.seed, retrained=judge.table is None)
            plan = planning.plan(config, request.data_dir, like=plan, watch=judge.watch)
    return plan


def _refuse_other_data(everything: Sequence[Job], plan: Plan) -> None:
    """Refuse to mix runs on data sets that share no more than their name."""
    ours = fingerprint(plan.dataset)
    for job in everything:
        if (job.path / CONFIG).is_file() and _written(job).fields("data").value.get("fingerprint") != ours:
            raise UserError(
                f"the data set {plan.config.data!r} differs from the one that the run {str(job.path)!r} searched on: "
                f"choose another --study-dir, or give the same data"
            )
