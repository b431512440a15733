"""What a space's networks consist of: each operation at each shape, and how often it stands where."""

from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import jax
import numpy as np

from dnas.costs import CostTable, differences
from dnas.genotype import Genotype
from dnas.nn.workload import Call, calls, output, work
from dnas.types import Network, SearchSpace

MACS = "macs"


class Parts(NamedTuple):
    """How often networks of a space call what.

    Attributes:
        calls: for each call, how often a network has it because of an operation on an edge, and because it is a
            network; empty if the space's networks are not made of modules that can be told apart.
        macs: the same for multiply-adds, of the whole batch.
    """

    calls: Mapping[Call, CostTable]
    macs: CostTable


def parts(space: SearchSpace, settings: Mapping[str, Any], shape: tuple[int, ...], batch: int) -> Parts:
    """Find what networks of a space consist of, from shapes alone.

    Args:
        space: the space, whose networks are built as `space.build(genotype, **settings)`.
        settings: how networks are built otherwise.
        shape: (H, W, C) of an image.
        batch: images that go through a network at once.

    Raises:
        UserError: if the space cannot build such networks, or does not say which edge enters which node.
    """
    x = jax.ShapeDtypeStruct((batch, *shape), np.float32)

    @cache
    def counted(genotype: Genotype) -> tuple[float, Mapping[Call, int]]:
        network = space.build(genotype, **settings)
        return float(batch * network.workload(shape).macs), found(network, x)

    every: dict[Call, None] = {}

    def multiply_adds(genotype: Genotype) -> dict[str, float]:
        macs, own = counted(genotype)
        every.update(dict.fromkeys(own))
        return {MACS: macs}

    macs = differences(space, multiply_adds)[MACS]
    # By number, now that every call of these networks is known.
    names = {str(index): call for index, call in enumerate(every)}
    tables = differences(space, lambda one: {name: float(counted(one)[1].get(call, 0)) for name, call in names.items()})
    known = {call: tables[name] for name, call in names.items()}
    return Parts(known if _account(known, macs) else {}, macs)


def found(network: Network, x: jax.ShapeDtypeStruct) -> Mapping[Call, int]:
    """Return the calls of a network; none for one that is no composition of modules."""
    try:
        return calls(network, x)
    # A network with parameters of its own asks for them by name, and here it has none.
    except (LookupError, AttributeError, TypeError):
        return {}


def _account(known: Mapping[Call, CostTable], macs: CostTable) -> bool:
    """Whether the calls make up all multiply-adds, on every edge."""
    total = weighed(known, {call: float(work(call).macs) for call in known}, macs)
    same = bool(np.isclose(total.base, macs.base))
    return bool(known) and same and all(np.allclose(total.rows[name], rows) for name, rows in macs.rows.items())


def weighed(known: Mapping[Call, CostTable], values: Mapping[Call, float], like: CostTable) -> CostTable:
    """Return the sum of the calls' tables, each times its value; a table of zeros like `like` if there are none."""
    base, rows = 0.0, {name: np.zeros(own.shape) for name, own in like.rows.items()}
    for call, table in known.items():
        base += values[call] * table.base
        rows = {name: own + values[call] * table.rows[name] for name, own in rows.items()}
    return CostTable(base, rows)


def elements(call: Call) -> float:
    """Return how many numbers a call returns."""
    return float(sum(leaf.size for leaf in jax.tree.leaves(output(call))))


def describe(call: Call) -> str:
    """Return a call in a few words, such as `SharpSepConv 3, 16 channels, stride 2, of 32x32x16`."""
    module = call.module
    words = [str(value) for value in (getattr(module, "kind", ""), getattr(module, "size", "")) if value != ""]
    words = [" ".join([type(module).__name__, *words])]
    channels = next((getattr(module, name) for name in ("channels", "features", "classes") if hasattr(module, name)), 0)
    words += [f"{channels} out"] if channels else []
    words += [f"stride {module.stride}"] if getattr(module, "stride", 1) != 1 else []
    return f"{', '.join(words)}, of {'x'.join(str(side) for side in call.arrays[0].shape[1:])}"
