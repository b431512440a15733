"""The networks that a cost model is of, and what it records of them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from dnas.genotype import Genotype
from dnas.hardware.kernels import program
from dnas.selection import random_genotype
from dnas.types import Network, SearchSpace


class Deployed(NamedTuple):
    """Networks of a space with the same settings.

    Attributes:
        network: `(genotype) -> Network`.
        settings: the `network` of a `CostModel`.
        ops: the operations of each group.
    """

    network: Callable[[Genotype], Network]
    settings: dict[str, Any]
    ops: dict[str, tuple[str, ...]]


def deployed(space: SearchSpace, shape: tuple[int, ...], settings: Mapping[str, Any] | None) -> Deployed:
    """Return the networks of a space for deployment.

    Args:
        space: the space.
        shape: (H, W, C) of an image.
        settings: the networks are built as `space.build(genotype, **settings)`; `None` for `searched=True`, the
            supernet's own size.
    """
    own = {"searched": True} if settings is None else dict(settings)

    def network(genotype: Genotype) -> Network:
        return space.build(genotype, **own)

    # The space knows how many classes there are; what its networks return shows it.
    example = program(network(random_genotype(space, np.random.default_rng(0))), shape)
    classes = example.sizes[example.outputs[0]]
    ops = {name: tuple(group.ops) for name, group in space.spec.items()}
    return Deployed(network, {**own, "classes": classes, "image": list(shape)}, ops)
