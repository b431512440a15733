"""The number of architectures, against published numbers and against drawing them all."""

import numpy as np
import pytest

from dnas.architectures import architectures
from dnas.selection import random_genotype
from dnas.types import Group, SearchSpace
from search_spaces import darts, nasbench201


def test_published_numbers() -> None:
    assert architectures(nasbench201.space(classes=10).spec) == 5**6
    # arXiv:1806.09055, section 3.1.1 counts one cell as the product over nodes k of k (k + 1) / 2 * 7^2.
    cell = np.prod([k * (k - 1) // 2 * 7**2 for k in range(2, 6)], dtype=object)
    assert architectures(darts.space(classes=10).spec) == cell**2


NODES = (((0, 0), (1, 1)), ((2, 0), (3, 1), (4, 2)))
GROUPS = {
    "all kept": Group(2, ("none", "a"), (((0, 0),), ((1, 1),)), None, (2,)),
    "one of each node": Group(5, ("none", "a", "b"), NODES, 1, (2, 3)),
    "two of each node": Group(5, ("a", "b"), NODES, 2, (2, 3)),
    "more kept than enter": Group(5, ("a",), NODES, 3, (2, 3)),
    "unequal offers": Group(
        5,
        ("a", "b"),
        NODES,
        2,
        (2, 3),
        allowed=((True, False), (True, True), (False, True), (True, True), (True, True)),
    ),
    "paths": Group(8, ("a", "b"), (((0, 0), (1, 1)), ((2, 0), (3, 1)), ((4, 2), (5, 3))), 1, (4,), path=True),
}


@pytest.mark.parametrize("name", GROUPS)
def test_drawing_at_random_finds_as_many(name: str) -> None:
    group = GROUPS[name]
    edges = sum(map(len, group.nodes))
    group = group._replace(edges=edges)
    nothing: dict = dict.fromkeys(("init", "apply", "build", "inherit", "check"))
    space = SearchSpace("drawn", {"one": group, "other": GROUPS["all kept"]}, **nothing)
    rng = np.random.default_rng(0)
    found = {str(random_genotype(space, rng)) for _ in range(4000)}
    # A genotype lists a node's edges by weight: the same ones in another order are the same architecture.
    assert architectures(space.spec) == len({_sorted(text) for text in found})


def _sorted(text: str) -> str:
    return "\n".join(
        " | ".join(" ".join(sorted(node.split())) for node in line.partition(": ")[2].split(" | "))
        for line in text.splitlines()
    )
