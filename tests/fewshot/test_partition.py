"""Divisions of operations against brute force by another route, and the sub-supernets they make."""

from itertools import product
from math import comb

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnas.errors import UserError
from dnas.fewshot import (
    Partition,
    all_allowed,
    choose_edge,
    exhaustive,
    gradient_distances,
    masked_softmax,
    partition,
    split,
    stack,
    unsplit,
)
from dnas.fewshot.partition import _partitions
from search_spaces import darts, nasbench201


def symmetric(count: int, rng: np.random.Generator) -> np.ndarray:
    upper = np.triu(rng.random((count, count)), 1)
    return upper + upper.T


def by_labels(distances: np.ndarray, groups: int, smallest: int) -> float:
    """Return the least sum within groups over all ways to label the operations."""
    count = len(distances)
    labels = np.array(list(product(range(groups), repeat=count)))
    sizes = np.stack([(labels == label).sum(axis=1) for label in range(groups)])
    labels = labels[(sizes >= smallest).all(axis=0)]
    same = labels[:, :, None] == labels[:, None, :]
    return float((same * distances).sum(axis=(1, 2)).min() / 2)


@settings(max_examples=40, deadline=None)
@given(st.integers(4, 7), st.integers(1, 3), st.integers(1, 2), st.integers(0, 2**32 - 1))
def test_no_other_division_is_better(count: int, groups: int, smallest: int, seed: int) -> None:
    if groups * smallest > count:
        return
    distances = symmetric(count, np.random.default_rng(seed))
    found = partition(distances, groups, smallest)
    assert found.within == pytest.approx(by_labels(distances, groups, smallest))
    assert found.within + found.cut == pytest.approx(distances.sum() / 2)
    assert sorted(column for group in found.groups for column in group) == list(range(count))
    assert all(len(group) >= smallest and list(group) == sorted(group) for group in found.groups)
    inside = sum(distances[np.ix_(group, group)].sum() / 2 for group in found.groups)
    assert inside == pytest.approx(found.within)


@pytest.mark.parametrize(("count", "groups", "number"), [(4, 2, 7), (5, 2, 15), (6, 3, 90), (8, 2, 127), (5, 1, 1)])
def test_all_divisions_are_tried_once(count: int, groups: int, number: int) -> None:
    # Stirling numbers of the second kind.
    found = [frozenset(map(frozenset, parts)) for parts in _partitions(count, groups, 1)]
    assert len(found) == len(set(found)) == number
    assert len(list(_partitions(5, 2, 2))) == comb(5, 2)
    assert len(list(_partitions(8, 2, 2))) == 127 - 8


def test_planted_groups_are_found() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 50))
    gradients = [
        {"a": base[:20] + 0.3 * rng.normal(size=20), "b": base[20:].reshape(5, 6) + 0.3 * rng.normal(size=(5, 6))}
        for base in (one, other, other, one, one)
    ]
    found = partition(gradient_distances(gradients))
    assert set(found.groups) == {(0, 3, 4), (1, 2)}


def test_of_equally_good_divisions_the_first() -> None:
    assert partition(np.zeros((4, 4))).groups == ((0, 1), (2, 3))
    assert partition(np.ones((5, 5))).groups == ((0, 1), (2, 3, 4))


def test_the_diagonal_does_not_count() -> None:
    distances = symmetric(5, np.random.default_rng(1))
    assert partition(distances + 7 * np.eye(5)) == partition(distances)


def test_distances_between_gradients() -> None:
    x, y = np.array([3.0, 4.0]), np.array([4.0, -3.0])
    distances = gradient_distances([{"w": x}, {"w": 2 * x}, {"w": -x}, {"w": y}, {"w": x + y}])
    expected = 1 - np.array(
        [
            [1, 1, -1, 0, 0.5**0.5],
            [1, 1, -1, 0, 0.5**0.5],
            [-1, -1, 1, 0, -(0.5**0.5)],
            [0, 0, 0, 1, 0.5**0.5],
            [0.5**0.5, 0.5**0.5, -(0.5**0.5), 0.5**0.5, 1],
        ]
    )
    np.testing.assert_allclose(distances, expected, atol=1e-6)
    # Many tensors are one vector: not the mean of the tensors' own cosines.
    split_up = gradient_distances([[np.array([1.0]), np.array([0.0, 10.0])], [np.array([-1.0]), np.array([0.0, 10.0])]])
    assert split_up[0, 1] == pytest.approx(1 - 99 / 101)
    # An operation without any gradient is at distance 1 from all.
    assert gradient_distances([{"w": x}, {"w": 0 * x}])[0, 1] == 1


def test_bad_gradients() -> None:
    with pytest.raises(UserError, match=r"sizes \[2, 3\]"):
        gradient_distances([{"w": np.ones(2)}, {"w": np.ones(3)}])
    with pytest.raises(UserError, match="not diverged"):
        gradient_distances([{"w": np.ones(2)}, {"w": np.array([1, np.nan])}])


def test_which_edge() -> None:
    best = {
        "a": Partition(((0,), (1,)), within=1.0, cut=2.0),
        "b": Partition(((0,), (1,)), within=3.0, cut=5.0),
        "c": Partition(((0,), (1,)), within=1.0, cut=5.0),
    }
    assert choose_edge(best) == "b"
    assert choose_edge(best, "within") == "a"
    with pytest.raises(UserError, match="every edge has been split"):
        choose_edge({})
    with pytest.raises(UserError, match="did you mean 'cut'"):
        choose_edge(best, "cuts")


@pytest.mark.parametrize(
    ("distances", "arguments"),
    [
        (np.ones((3, 4)), {}),
        (np.array([[0, 1], [2, 0]]), {"smallest": 1}),
        (np.full((4, 4), np.nan), {}),
        (np.ones((3, 3)), {}),
        (np.ones((4, 4)), {"groups": 0}),
    ],
)
def test_what_cannot_be_divided(distances: np.ndarray, arguments: dict[str, int]) -> None:
    with pytest.raises(UserError, match="expected"):
        partition(distances, **arguments)


def test_sub_supernets_share_all_but_the_split_edge() -> None:
    spec = nasbench201.space(classes=2).spec
    whole = all_allowed(spec)
    assert unsplit(whole) == tuple(("cell", edge) for edge in range(6))
    left, right = split(whole, "cell", 2, ((0, 3), (1, 2, 4)))
    assert left["cell"][2].tolist() == [True, False, False, True, False]
    assert right["cell"][2].tolist() == [False, True, True, False, True]
    for child in (left, right):
        assert np.delete(child["cell"], 2, axis=0).all()
        assert unsplit(child) == tuple(("cell", edge) for edge in (0, 1, 3, 4, 5))
    assert whole["cell"].all()
    # A split of a split, and the exhaustive one.
    grandchildren = split(left, "cell", 2, ((0,), (3,)))
    assert [child["cell"][2].sum() for child in grandchildren] == [1, 1]
    children = split(whole, "cell", 0, exhaustive(5).groups)
    np.testing.assert_array_equal(np.stack([child["cell"][0] for child in children]), np.eye(5, dtype=bool))


def test_the_children_divide_the_architectures_of_their_parent() -> None:
    spec = nasbench201.space(classes=2).spec
    count = lambda masks: int(np.prod([rows.sum() for rows in masks["cell"]]))  # noqa: E731
    supernets = [all_allowed(spec)]
    for edge in (4, 1):
        supernets = [child for masks in supernets for child in split(masks, "cell", edge, ((0, 1), (2, 3, 4)))]
    assert len(supernets) == 4
    assert sum(map(count, supernets)) == 15_625


@pytest.mark.parametrize(
    "parts", [((0, 1), (2, 3)), ((0, 1), (1, 2, 3, 4)), ((0, 1, 2, 3, 4), ()), ((0, 1), (2, 3, 5))]
)
def test_parts_that_do_not_divide_the_operations(parts: tuple[tuple[int, ...], ...]) -> None:
    with pytest.raises(UserError, match="exactly one part"):
        split(all_allowed(nasbench201.space(classes=2).spec), "cell", 0, parts)


def test_the_softmax_of_each_child_under_vmap() -> None:
    space = darts.space(classes=2, nodes=1)
    children = split(all_allowed(space.spec), "reduce", 1, ((0, 2, 4), (1, 3, 5, 6, 7)))
    rng = np.random.default_rng(0)
    alpha = {name: jnp.asarray(rng.normal(size=(2, 8)), jnp.float32) for name in space.spec}
    rows = jax.jit(jax.vmap(masked_softmax, in_axes=(None, 0)))(alpha, stack(children))
    for index, child in enumerate(children):
        for name, mask in child.items():
            expected = np.exp(alpha[name]) * mask
            np.testing.assert_allclose(rows[name][index], expected / expected.sum(axis=1, keepdims=True), rtol=1e-5)
    loss = lambda alpha, masks: (masked_softmax(alpha, masks)["reduce"] ** 2).sum()  # noqa: E731
    slope = jax.grad(loss)(alpha, children[0])["reduce"]
    assert np.isfinite(slope).all()
    assert (np.abs(slope[1]) > 0).tolist() == children[0]["reduce"][1].tolist()
