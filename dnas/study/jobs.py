"""The runs of a study and where they lie."""

from pathlib import Path
from typing import NamedTuple

from dnas.errors import UserError, reason
from dnas.run.directory import RESULT
from dnas.study.request import Arm, Request

RUNS, RECORD = "runs", "study.json"
"""In a study's directory: its runs, and its record for programs."""
FAILED, JUDGED = "failed.json", "judged.json"
"""In a run's directory: why it failed, and what a study measured of it after the search."""


class Job(NamedTuple):
    """One run of a study and its place."""

    arm: Arm
    seed: int
    path: Path

    @property
    def title(self) -> str:
        """How the user sees it named."""
        return f"{self.arm.text}, seed {self.seed}"

    @property
    def ended(self) -> bool:
        """Whether there is something to read: a result, or why there is none."""
        return (self.path / RESULT).is_file() or (self.path / FAILED).is_file()


def jobs(request: Request, root: Path) -> list[Job]:
    """Return the runs of a study in the directory `root`, arms first."""
    return [Job(arm, seed, root / RUNS / arm.folder / f"seed-{seed}") for arm in request.arms for seed in request.seeds]


def check_place(root: Path) -> None:
    """Raise `UserError` unless `root` is new, an empty folder, or the directory of a study."""
    try:
        if root.is_dir():
            known = (root / RECORD).is_file() or any(root.glob(f"{RUNS}/*/seed-*"))
            taken = not known and any(root.iterdir())
        else:
            taken = root.exists()
    except OSError as error:
        raise UserError(f"cannot read the study directory {str(root)!r} ({reason(error)}): choose another") from None
    if taken:
        raise UserError(
            f"{str(root)!r} is not the directory of a study (it holds neither {RECORD} nor {RUNS}/METHOD/seed-N): "
            f"choose a new or an empty one with --study-dir"
        )
