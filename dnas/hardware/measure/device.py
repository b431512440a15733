"""The present device as the clock of a measurement: programs are compiled ahead and then run in turn."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
from scipy.stats import spearmanr

from dnas.bench.progress import Progress
from dnas.bench.timing import Runner
from dnas.hardware.measure.operations import describe
from dnas.hardware.measure.timing import Times, network, operation, timed
from dnas.nn.workload import Call
from dnas.run.environment import describe as environment
from dnas.types import Network


@dataclass
class Device:
    """Takes times on the present device.

    Attributes:
        shape: (H, W, C) of an image.
        batch: images of a call.
        rounds: how often each program is timed.
        progress: what a person sees.
        log: what was timed.
    """

    shape: tuple[int, int, int]
    batch: int
    rounds: int
    progress: Progress
    log: Times | None = None

    @staticmethod
    def stages(calls: int, networks: int) -> int:
        """Return how many stages of progress so many operations and networks have."""
        return calls + networks + 1

    def times(self, calls: Sequence[Call], networks: Sequence[Network]) -> tuple[Mapping[Call, float], Sequence[float]]:
        """Return milliseconds of each operation alone, repeated inside one dispatch, and of a call of each network.

        All are run in turn, so that what else the machine does falls on operations and networks alike, and what it did
        to all of them is taken out.
        """
        runners: dict[Call | int, Runner] = {}
        counts: dict[Call | int, int] = {}
        for call in calls:
            with self.progress.stage(f"compiling {describe(call)}"):
                runners[call], counts[call] = operation(call, self.batch)
        for index, one in enumerate(networks):
            with self.progress.stage(f"compiling network {index + 1} of {len(networks)}"):
                runners[index] = network(one, self.shape, self.batch)
        with self.progress.stage(f"timing {len(calls)} operations and {len(networks)} networks in turn"):
            told = self.progress.screen.counting("timing")
            self.log = timed(runners, counts, self.rounds, lambda done: told("round", done, self.rounds))
        found = self.log.milliseconds
        return {call: found[call] for call in calls}, [found[index] for index in range(len(networks))]

    def agreement(self) -> float:
        """Return the rank correlation of the networks' times in half of the rounds with those in the other half.

        No model of them can be expected to agree with such times much better than they do with themselves.
        """
        assert self.log is not None
        networks = [name for name in self.log.milliseconds if not isinstance(name, Call)]
        one, other = ([half[name] for name in networks] for half in self.log.halves)
        return float(spearmanr(one, other).statistic)

    def words(self) -> str:
        """Return how it was measured, in a sentence without a full stop."""
        assert self.log is not None
        operations = sum(isinstance(name, Call) for name in self.log.milliseconds)
        return (
            f"measured on {device_words()} with jax {jax.__version__}: {operations} operations alone and "
            f"{len(self.log.milliseconds) - operations} whole networks in turn, median of {self.rounds} rounds, "
            f"{self.log.outliers} outliers of {self.log.measurements} left out, swings of the machine's speed by a "
            f"factor of {self.log.swing:.2f} taken out; batch norm folded into convolutions, activations fused, the "
            f"input of each operation computed once, weights as arguments"
        )


def device_words() -> str:
    """Return the present device in words, with the processor's threads where it is one."""
    device = jax.devices()[0]
    if device.platform != "cpu":
        return str(device.device_kind)
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{environment()['cpu']}, {count} thread{'s' if count != 1 else ''}"


def device_name() -> str:
    """Return a short name of the present device, such as `cpu` or `nvidia-h100`."""
    device = jax.devices()[0]
    return re.sub(r"[^a-z0-9]+", "-", str(device.device_kind).lower()).strip("-") or device.platform
