"""A first estimate of latency from what a device's maker publishes, for a user who does not have the device.

The roofline model (Williams, Waterman and Patterson, Communications of the ACM 52(4), 2009; the form here is recalled):
a kernel takes as long as its arithmetic at the peak rate or its traffic at the memory's bandwidth, whichever is longer,
and the time to launch it; a network takes the sum over its kernels (`dnas.hardware.kernels`). No device reaches its
peaks, and none reaches them equally well for all shapes: what is estimated too low on the whole is still of use where
networks are compared, and each machine's documentation says how well that went where measurements are published.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from dnas.errors import unknown
from dnas.genotype import Genotype
from dnas.hardware.additive import additive
from dnas.hardware.kernels import Kernel, program
from dnas.hardware.model import ROOFLINE, CostModel
from dnas.hardware.networks import deployed
from dnas.types import SearchSpace

WIDTHS: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
"""Bytes of an element."""
PICOSECONDS = 1e12


class Machine(NamedTuple):
    """A device as its maker describes it.

    Attributes:
        name: short name, as in `--hardware t4`.
        device: what it is, in words.
        peak_flops: floating-point operations a second by type of the computation, a multiply-add being two, without
            structured sparsity; the type that comes first is used where none is asked for.
        bandwidth: bytes a second from and to the memory in which activations lie.
        launch_overhead: seconds that a kernel costs beside its work; always an assumption.
        source: whose figures these are, and which of them are derived or assumed.
    """

    name: str
    device: str
    peak_flops: Mapping[str, float]
    bandwidth: float
    launch_overhead: float
    source: str


def seconds(kernel: Kernel, machine: Machine, dtype: str) -> float:
    """Return the estimated time of a kernel.

    Args:
        kernel: the kernel.
        machine: the device.
        dtype: one of the machine's types; activations and weights are of this type.
    """
    arithmetic = 2 * kernel.macs / machine.peak_flops[dtype]
    traffic = WIDTHS[dtype] * kernel.moved / machine.bandwidth
    return max(arithmetic, traffic) + machine.launch_overhead


def roofline(
    space: SearchSpace,
    machine: Machine,
    shape: tuple[int, ...],
    *,
    settings: Mapping[str, Any] | None = None,
    batch_size: int = 1,
    dtype: str = "",
    networks: int = 300,
) -> CostModel:
    """Return the roofline estimate of a space's networks, in ms.

    `actual` of the model is the sum over the kernels of the network itself. The table is equal to that where kernels
    are a sum over edges, and nearest to it otherwise (`dnas.hardware.additive`); `source` says which, and by how much.
    Times of kernels are whole picoseconds, so that their sums are exact. `quality` is `None`: nothing was measured.

    Args:
        space: the space.
        machine: the device.
        shape: (H, W, C) of an image.
        settings: the networks are built as `space.build(genotype, **settings)`; `None` for the supernet's own size.
        batch_size: images that go through a network at once.
        dtype: type of the computation; empty for the machine's own.
        networks: random networks of which a table that is not exact is made.

    Raises:
        UserError: if the machine does not have the type, or for networks whose kernels are not known.
    """
    own = dtype or next(iter(machine.peak_flops))
    if own not in machine.peak_flops:
        raise unknown(f"dtype of {machine.name}", own, machine.peak_flops)
    build = deployed(space, shape, settings)

    def picoseconds(genotype: Genotype) -> float:
        kernels = program(build.network(genotype), shape, batch_size).kernels
        return float(sum(round(PICOSECONDS * seconds(kernel, machine, own)) for kernel in kernels))

    to_ms = 1e3 / PICOSECONDS
    found = additive(space, picoseconds, networks=networks)
    how = "the table is exact"
    if found.quality is not None:
        how = (
            f"on {found.quality.networks} random networks the table differs from the sum over their kernels by "
            f"{found.quality.mape:.1%} on average"
        )
    return CostModel(
        name=machine.name,
        metric="latency",
        kind=ROOFLINE,
        space=space.name,
        ops=build.ops,
        table=found.table.scaled(to_ms),
        network=build.settings,
        batch_size=batch_size,
        dtype=own,
        source=f"an estimate that was not measured: roofline of {machine.device} ({machine.source}); {how}",
        actual=lambda genotype: to_ms * picoseconds(genotype),
    )
