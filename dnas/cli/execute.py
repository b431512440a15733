"""From a checked request to a finished run on the user's screen."""

from pathlib import Path
from typing import Any

import jax
from rich.console import Console
from rich.table import Table

from dnas.cli.options import Where, command_line
from dnas.devices import processes
from dnas.errors import CannotWrite, UserError
from dnas.run import pipeline, planning
from dnas.run.config import Config
from dnas.run.console import Screen, duration
from dnas.run.directory import RESULT, RunDirectory
from dnas.run.interrupt import AgreedStop, Interrupted, Stop, listening
from dnas.run.phase import Diverged


def execute(
    config: Config | None,
    path: Path,
    data_dir: str | None,
    where: Where,
    *,
    resume: bool = False,
    overwrite: bool = False,
) -> None:
    """Run `config` in the directory `path`, or continue the run there, and print what came of it."""
    where.join()
    # The name of a default directory holds the time, which no two processes read alike.
    path = Path(processes.first_does(lambda: str(path)))
    screen = Screen() if processes.first() else Screen(Console(quiet=True))
    options = (f" --data-dir {data_dir}" if data_dir else "") + where.words()
    try:
        with listening() as own:
            stop = AgreedStop(own) if processes.several() else own
            if resume:
                run, planned = pipeline.reopen(path, data_dir, screen, devices=where.wanted())
            else:
                assert config is not None
                planned = processes.all_do(lambda: planning.plan(config, data_dir, devices=where.wanted()))
                run = pipeline.start(planned, path, overwrite, command_line())
                screen.say(f"run directory: {run.path}")
            if planned.devices.count < jax.device_count():
                screen.say(f"runs on {planned.devices.count} of {jax.device_count()} devices; --devices all takes all")
            result, page = _finish(run, planned, screen, stop, options)
    except Exception as error:
        if processes.broken(error):
            processes.leave(
                f"dnas: error: another process of this run is gone: start all of them again with --resume {path}"
            )
        raise
    if result["retrain"] or result["baseline"]:
        screen.table(_table(result))
    screen.say(_verdict(result))
    screen.say(f"report: {page}")


def _finish(
    run: RunDirectory, planned: planning.Plan, screen: Screen, stop: Stop, options: str
) -> tuple[dict[str, Any], str]:
    """Do what is left of a run; return its result and the path of its report."""
    from dnas.report import write_report

    again = f"dnas {planned.config.kind} --resume {run.path}{options}"
    with run.lock():
        try:
            if run.has(RESULT):
                screen.say(f"{run.path} is complete already")
                result = run.read(RESULT)
            else:
                result = pipeline.execute(run, planned, screen, stop)
            with screen.working("writing the report"):
                page = processes.first_does(lambda: str(write_report(run.path)))
        except Interrupted:
            screen.say(f"stopped; continue with: {again}")
            raise
        except Diverged as error:
            raise Diverged(
                f"{error}; the last good checkpoint is kept in {run.path}/checkpoints: try a smaller learning rate"
            ) from None
        except UserError as error:
            # What is refused before anything was computed would be refused again, unless the disk refused it.
            advice = f"; continue with: {again}" if run.has("checkpoints") or isinstance(error, CannotWrite) else ""
            raise UserError(f"{error}{advice}") from None
    return result, page


def _table(result: dict[str, Any]) -> Table:
    table = Table(title=f"{result['space']} on {result['data']}, seed {result['seed']}")
    for column in ("network", "test accuracy", "parameters", "multiply-adds", "training time"):
        table.add_column(column, justify="left" if column == "network" else "right")
    found = "found" if result["search"] else "trained"
    rows = [(found, result["retrain"])] if result["retrain"] else []
    rows += [(f"random {index}", one) for index, one in enumerate(result["baseline"])]
    for name, row in rows:
        table.add_row(
            name,
            f"{100 * row['test_accuracy']:.2f} %",
            f"{row['params']:,}",
            f"{row['macs'] / 1e6:.1f} M" if row["macs"] >= 1e5 else f"{row['macs']:,}",
            duration(row["train_seconds"]),
        )
    return table


def _verdict(result: dict[str, Any]) -> str:
    if not result["retrain"]:
        return "the found architecture was not trained (retrain.epochs=0), so nothing says how good it is"
    own = result["retrain"]["test_accuracy"]
    rivals = [one["test_accuracy"] for one in result["baseline"]]
    if not rivals:
        return f"test accuracy {100 * own:.2f} %"
    best = max(rivals)
    images = result["retrain"]["test_images"]
    gap = f"{100 * own:.2f} % against {100 * best:.2f} % on {images:,} test images"
    if own > best:
        return f"the found architecture scored above the best random one: {gap}; the report says if by more than noise"
    return f"this search did not beat a random architecture: {gap}"
