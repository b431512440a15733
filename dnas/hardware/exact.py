"""Metrics that need no device: trained parameters, multiply-adds, and peak memory of activations.

Parameters and multiply-adds are sums over edges, so that their tables are exact. Peak memory is a maximum over the
course of a network, which no sum over edges can be: `actual` of its model is exact, and the table is the additive one
that is nearest to random networks, with its error.
"""

from collections.abc import Mapping
from typing import Any

from dnas.errors import unknown
from dnas.genotype import Genotype
from dnas.hardware.additive import additive
from dnas.hardware.kernels import program
from dnas.hardware.model import EXACT, CostModel
from dnas.hardware.networks import deployed
from dnas.hardware.roofline import WIDTHS
from dnas.types import SearchSpace

METRICS = ("params", "macs", "memory")
SOURCES: Mapping[str, str] = {
    "params": "counted: trained parameters, without an auxiliary head",
    "macs": "counted: multiply-adds of convolutions and matrix products for one image",
    "memory": (
        "counted: most bytes of activations in memory at once, weights left out, kernels in the order in which the "
        "network is written and with batch norm and ReLU folded in"
    ),
}


def exact(
    space: SearchSpace,
    metric: str,
    shape: tuple[int, ...],
    *,
    settings: Mapping[str, Any] | None = None,
    networks: int = 300,
) -> CostModel:
    """Return the model of an exact metric, for one image and float32.

    `actual` of the model is the network's own number: `Network.workload` for `params` and `macs`, `Program.peak` times
    4 bytes for `memory`. `quality` is `None` where the table gives the same, and else what it was on random networks.

    Args:
        space: the space.
        metric: `params`, `macs` or `memory`.
        shape: (H, W, C) of an image.
        settings: the networks are built as `space.build(genotype, **settings)`; `None` for the supernet's own size.
        networks: random networks of which a table that is not exact is made.

    Raises:
        UserError: for another metric, or for networks whose kernels are not known.
    """
    if metric not in METRICS:
        raise unknown("exact metric", metric, METRICS)
    build = deployed(space, shape, settings)
    height, width, channels = shape

    def count(genotype: Genotype) -> float:
        network = build.network(genotype)
        if metric == "memory":
            return float(WIDTHS["float32"] * program(network, shape).peak())
        return float(getattr(network.workload((height, width, channels)), metric))

    found = additive(space, count, networks=networks, adds_up=metric != "memory")
    how = ""
    if found.quality is not None:
        how = (
            f"; the table is the nearest additive one and differs by {found.quality.mape:.1%} on average on "
            f"{found.quality.networks} random networks"
        )
    return CostModel(
        name="exact",
        metric=metric,
        kind=EXACT,
        space=space.name,
        ops=build.ops,
        table=found.table,
        network=build.settings,
        batch_size=1,
        dtype="float32",
        source=SOURCES[metric] + how,
        quality=found.quality,
        actual=count,
    )
