"""Running a study: every method with every seed as a run directory of its own, finished ones left alone."""

from pathlib import Path

from dnas.report import write_report
from dnas.run import pipeline, planning
from dnas.run.console import Screen
from dnas.run.directory import CONFIG, PROGRESS, RESULT, RunDirectory
from dnas.run.interrupt import Stop
from dnas.run.phase import Diverged
from dnas.run.planning import Plan
from dnas.study.check import check
from dnas.study.jobs import FAILED, JUDGED, Job
from dnas.study.judge import Judge
from dnas.study.ranking import rank_quality
from dnas.study.request import Request


def execute(request: Request, root: Path, screen: Screen, stop: Stop, command: str) -> Judge:
    """Do what is left of a study: search, look up or retrain, and measure the supernet's ranking.

    A run that diverges is noted in its directory and does not stop the others.

    Args:
        request: the study.
        root: its directory; runs lie below it.
        screen: where progress is shown.
        stop: asked between two chunks of work.
        command: what each run's configuration names as its origin.

    Returns:
        How the runs are judged.

    Raises:
        UserError: before anything is run or written, as `dnas.study.check.check` does.
        Interrupted: if the user asked to stop; everything done so far is kept.
    """
    everything, left, judge, plan = check(request, root)
    screen.say(f"study directory: {root}")
    for arm in request.arms:
        own = [job for job in left if job.arm == arm]
        count = sum(job.arm == arm for job in everything)
        if len(own) < count:
            screen.say(f"{arm.text}: {count - len(own)} of {count} runs are complete already")
        for group in _groups(own, request.together):
            plan = _run(group, request, judge, plan, screen, stop, command)
    return judge


def _groups(left: list[Job], together: bool) -> list[list[Job]]:
    """Divide the runs of an arm: all at once or one by one; begun and fresh ones never in one program."""
    if not together:
        return [[job] for job in left]
    searched = [job for job in left if (job.path / PROGRESS).is_file()]
    rest = [job for job in left if job not in searched]
    begun = [job for job in rest if (job.path / "checkpoints").is_dir()]
    fresh = [job for job in rest if job not in begun]
    return [*([job] for job in searched), *(group for group in (begun, fresh) if group)]


def _run(
    group: list[Job], request: Request, judge: Judge, like: Plan | None, screen: Screen, stop: Stop, command: str
) -> Plan:
    """Run the jobs of one group to their end; return a plan whose data the next group can share."""
    runs: list[tuple[RunDirectory, Plan]] = []
    for job in group:
        if (job.path / CONFIG).is_file():
            run, like = pipeline.reopen(job.path, request.data_dir, screen, like=like, watch=judge.watch)
        else:
            config = request.config(job.arm, job.seed, retrained=judge.table is None)
            like = planning.plan(config, request.data_dir, like=like, watch=judge.watch)
            run = pipeline.start(like, job.path, False, command)
        runs.append((run, like))
    assert like is not None
    screen.say(f"== {', '.join(job.title for job in group)}")
    if len(group) > 1:
        _search_together(group, runs, screen, stop)
    for job, (run, plan) in zip(group, runs, strict=True):
        with run.lock():
            _finish(job, run, plan, request, judge, screen, stop)
    return like


def _search_together(group: list[Job], runs: list[tuple[RunDirectory, Plan]], screen: Screen, stop: Stop) -> None:
    try:
        failures = pipeline.search_all(runs, screen, stop)
    except pipeline.Misaligned as reason:
        screen.say(str(reason))
        return
    for job, (run, _), failure in zip(group, runs, failures, strict=True):
        if failure:
            _fail(job, run, failure, screen)


def _finish(
    job: Job, run: RunDirectory, plan: Plan, request: Request, judge: Judge, screen: Screen, stop: Stop
) -> None:
    if (run.path / FAILED).is_file():
        return
    if not (run.path / RESULT).is_file():
        try:
            pipeline.execute(run, plan, screen, stop)
        except Diverged as error:
            _fail(job, run, error, screen)
            return
        write_report(run.path)
    if judge.table is not None:
        with screen.working(f"{job.title}: how well the supernet ranks architectures"):
            ended = pipeline.searched(run, plan)
            run.write(JUDGED, rank_quality(plan, ended, judge.table, judge.dataset, request.ranking))
    stop.check()


def _fail(job: Job, run: RunDirectory, error: Diverged, screen: Screen) -> None:
    run.write(FAILED, {"note": str(error)})
    screen.warn(f"{job.title}: {error}")
