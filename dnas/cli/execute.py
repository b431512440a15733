"""From a checked request to a finished run on the user's screen."""

from pathlib import Path
from typing import Any

from rich.table import Table

from dnas.cli.options import command_line
from dnas.errors import UserError
from dnas.run import pipeline
from dnas.run.config import Config
from dnas.run.console import Screen, duration
from dnas.run.directory import RESULT
from dnas.run.interrupt import Interrupted, listening
from dnas.run.loop import Diverged


def execute(
    config: Config | None, path: Path, data_dir: str | None, *, resume: bool = False, overwrite: bool = False
) -> None:
    """Run `config` in the directory `path`, or continue the run there, and print what came of it."""
    screen = Screen()
    with listening() as stop:
        if resume:
            run, planned = pipeline.reopen(path, data_dir, screen)
        else:
            assert config is not None
            planned = pipeline.plan(config, data_dir)
            run = pipeline.start(planned, path, overwrite, command_line())
            screen.say(f"run directory: {run.path}")
        kind = planned.config.kind
        again = f"dnas {kind} --resume {path}" + (f" --data-dir {data_dir}" if data_dir else "")
        with run.lock():
            try:
                if (run.path / RESULT).exists():
                    screen.say(f"{path} is complete already")
                    result = run.read(RESULT)
                else:
                    result = pipeline.execute(run, planned, screen, stop)
                with screen.working("writing the report"):
                    from dnas.report import write_report

                    page = write_report(run.path)
            except Interrupted:
                screen.say(f"stopped; continue with: {again}")
                raise
            except Diverged as error:
                raise Diverged(
                    f"{error}; the last good checkpoint is kept in {path}/checkpoints: try a smaller learning rate"
                ) from None
            except UserError as error:
                raise UserError(f"{error}; continue with: {again}") from None
    screen.table(_table(result))
    screen.say(_verdict(result))
    screen.say(f"report: {page}")


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
            f"{row['macs'] / 1e6:.1f} M",
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
