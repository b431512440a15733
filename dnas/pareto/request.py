"""What a front is asked for, as one value: checked before anything is written."""

from dataclasses import dataclass, replace
from pathlib import Path

from dnas import plugins
from dnas.errors import UserError, unknown
from dnas.hardware.exact import METRICS as COUNTED
from dnas.hardware.model import UNITS
from dnas.hardware.shipped import shipped
from dnas.run.config import Config
from dnas.study.judge import Judge, judge_of
from dnas.study.request import ALONE
from dnas.study.request import Request as Searches

SUPERNET = "supernet"
"""As `truth`: accuracies are those of the supernet, though the space may have a table."""


@dataclass(frozen=True)
class Request:
    """A whole front.

    Attributes:
        searches: the searches, a study of one method; its `truth`, `table` and `data_dir` say how architectures are
            judged, its `ranking` has no effect.
        hardware: name of a profile or of a published machine, or a file; `None` where the metric needs none.
        metric: what networks cost, one of `dnas.hardware.model.UNITS`.
        targets: for how many budgets the heaviest architecture within them is kept.
        refine: random architectures that are compared with the supernet's weights; 0 leaves this out.
        runs: folder of the search runs; `None` is `runs` in the front's own directory.
    """

    searches: Searches
    hardware: str | None = None
    metric: str = "latency"
    targets: int = 10
    refine: int = 200
    runs: Path | None = None

    def __post_init__(self) -> None:
        """Raise `UserError` for a number out of its range, an unknown metric, or one that needs hardware."""
        if len(self.searches.arms) != 1:
            raise UserError(f"--method: expected one method, got {len(self.searches.arms)}: draw a front for each")
        if self.metric not in UNITS:
            raise unknown("metric", self.metric, UNITS)
        if self.hardware is None and self.metric not in COUNTED:
            raise UserError(
                f"--metric {self.metric} depends on the device, but no --hardware is given: name one of "
                f"{', '.join(shipped())}, a known machine or a file of dnas profile, or choose {', '.join(COUNTED)}"
            )
        if self.targets < 2:
            raise UserError(f"--targets: expected at least 2, the cheapest and the dearest network, got {self.targets}")
        if self.refine < 0:
            raise UserError(f"--refine: expected a number that is not negative, got {self.refine}")

    def config(self, seed: int) -> Config:
        """Return the request of one search, which retrains nothing and knows nothing of costs."""
        return self.searches.config(self.searches.arms[0], seed, retrained=False)

    def folder(self, root: Path, seed: int) -> Path:
        """Return the run directory of a seed, for a front in `root`."""
        return (self.runs or root / "runs") / f"seed-{seed}"

    def judge(self, data: str) -> Judge:
        """Return how architectures are judged that were searched on the data set `data`.

        Raises:
            UserError: if the table is missing or damaged, lacks the data set, or is asked for where there is none.
        """
        asked = self.searches
        offered = plugins.names(plugins.BENCHMARKS)
        if asked.truth == ALONE:
            raise UserError(
                f"--truth {ALONE}: dnas pareto trains no found network: leave it out, and give the points that you "
                f"want to dnas train"
            )
        if asked.truth != SUPERNET and asked.space not in offered and (asked.truth or asked.table):
            raise UserError(
                f"space {asked.space!r} has no table of true accuracies (there is one for "
                f"{', '.join(offered) or 'none'}): leave out --table and --truth, accuracies are then the supernet's"
            )
        if asked.truth == SUPERNET:
            asked = replace(asked, truth=ALONE)
        judge = judge_of(asked, data)
        return (
            judge if judge.table is not None else replace(judge, measure=f"supernet's accuracy on {data}, validation")
        )
