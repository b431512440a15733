"""Running a benchmark: task by task, what is finished so far always standing whole in its folder."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from dnas.bench.machine import environment
from dnas.bench.measure import Plan, Task, measure
from dnas.bench.picture import picture
from dnas.bench.progress import Progress
from dnas.bench.record import SCHEMA, Entry
from dnas.errors import UserError, reason
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory

BUSY = 0.3
"""Share of the cores whose use by others is worth a warning."""
JSON, PICTURE = "bench.json", "bench.svg"


def run(tasks: Sequence[Task], plan: Plan, out: Path, screen: Screen, command: str) -> Entry:
    """Measure all tasks, write `bench.json` after each and `bench.svg` in the end, and return what is in the JSON.

    Raises:
        UserError: if the folder cannot be written, or settings do not go together.
    """
    result: Entry = {
        "schema": SCHEMA,
        "complete": False,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "environment": {**environment(), **(plan.equality.rivals.details if plan.equality else {})},
        "seconds_per_contender": plan.effort.seconds,
        "least_rounds": plan.effort.rounds,
        "measurements": [],
        "ratios": [],
    }
    _warn_of_load(result["environment"], screen)
    progress = Progress(screen, sum(map(plan.stages, tasks)))
    for index, task in enumerate(tasks):
        measurements, ratios = measure(task, plan, progress)
        result["measurements"] += measurements
        result["ratios"] += ratios
        result["complete"] = index == len(tasks) - 1
        _folder(out).write_text(JSON, json.dumps(result, indent=1, allow_nan=False) + "\n")
    RunDirectory(out).write_text(PICTURE, picture(result))
    return result


def _warn_of_load(made: Entry, screen: Screen) -> None:
    """Warn where other programs keep the processor busy: times are then no one's own, and ratios may be off too."""
    load, cores = made["load_average_1_minute"], made["cores"]
    if load is not None and cores and load > BUSY * cores:
        advice = "wait for quiet" + (", or bind all to one core with taskset -c 0" if cores > 1 else "")
        screen.warn(
            f"the load of the machine is {load:.1f} on {cores} core(s): programs that wait for all their threads "
            f"suffer more from this than others, so {advice}"
        )


def check_folder(out: Path, overwrite: bool) -> None:
    """Raise `UserError` if `out` holds a result that may not be replaced, or is no folder."""
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: expected a folder, this is a file")
    if (out / JSON).exists() and not overwrite:
        raise UserError(f"--out {out}: it holds the result of another benchmark, choose another or add --overwrite")


def _folder(out: Path) -> RunDirectory:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {str(out)!r} ({reason(error)}): choose another --out") from None
    return RunDirectory(out)
