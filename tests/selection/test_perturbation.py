"""Perturbation-based selection on planted supernets, whose score is known in closed form."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.errors import UserError
from dnas.selection import one_hot, perturbation, top_edges
from dnas.selection.perturbation import Projected, derive, merge, one_by_one, project, schedule, start
from dnas.types import Group, Paths, SearchSpace, Spec, Weights
from search_spaces import darts, nasbench201

S5 = darts.OPS[1:]
DARTS = darts.space(classes=2, ops=S5)
NB201 = nasbench201.space(classes=2)
Score = Callable[[Weights], jax.Array]


def planted(spec: Spec, seed: int = 0) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Score]:
    """Return the operation that matters on each edge, weights whose argmax is another, and the score.

    The score falls by an edge's importance when its planted operation is gone, however little that operation weighs.
    """
    rng = np.random.default_rng(seed)
    best, weights, importance = {}, {}, {}
    for name, group in spec.items():
        best[name] = rng.integers(0, len(group.ops), group.edges)
        rows = np.full((group.edges, len(group.ops)), 0.5 / (len(group.ops) - 1), np.float32)
        rows[np.arange(group.edges), (best[name] + 1) % len(group.ops)] = 0.5
        weights[name] = rows
        importance[name] = 1 + rng.permutation(group.edges).astype(np.float32)

    def score(candidate: Weights) -> jax.Array:
        total = jnp.zeros(())
        for name, rows in candidate.items():
            present = rows[jnp.arange(len(best[name])), best[name]] > 0
            total = total + jnp.sum(jnp.where(present, importance[name], 0.0))
        return total

    score.importance = importance  # type: ignore[attr-defined]
    return best, weights, score


def chosen(space: SearchSpace, found: object) -> Mapping[str, np.ndarray]:
    return {name: np.asarray(rows) for name, rows in one_hot(space.spec, found).items()}  # type: ignore[arg-type]


@pytest.mark.parametrize("criterion", ["accuracy", "loss"])
@pytest.mark.parametrize("seed", [0, 3, None])
def test_planted_operations_and_edges_are_found_where_argmax_is_misled(seed: int | None, criterion: str) -> None:
    best, weights, score = planted(DARTS.spec)
    sign = 1 if criterion == "accuracy" else -1
    rule = perturbation(jax.vmap(lambda candidate: sign * score(candidate)), criterion=criterion, seed=seed)
    found = rule(DARTS, weights)
    darts.check_genotype(found)
    misled = chosen(DARTS, top_edges(DARTS, weights))
    for name, rows in chosen(DARTS, found).items():
        kept = np.flatnonzero(rows.sum(axis=1))
        assert (rows[kept].argmax(axis=1) == best[name][kept]).all()
        for incoming in DARTS.spec[name].nodes:
            edges = [edge for edge, _ in incoming]
            strongest = sorted(edges, key=lambda edge: -score.importance[name][edge])[:2]  # type: ignore[attr-defined]
            assert sorted(set(edges) & set(kept.tolist())) == sorted(strongest)
        wrong = np.flatnonzero(misled[name].sum(axis=1))
        assert (misled[name][wrong].argmax(axis=1) != best[name][wrong]).all()


def test_a_group_that_keeps_all_its_edges_has_no_topology_and_may_choose_none() -> None:
    best, weights, score = planted(NB201.spec, seed=1)
    best["cell"][2] = nasbench201.OPS.index("none")
    found = perturbation(one_by_one(score))(NB201, weights)
    nasbench201.check_genotype(found)
    ops = [edge.op for node in found["cell"].nodes for edge in node]
    assert ops == [nasbench201.OPS[column] for column in best["cell"]]
    assert ops[2] == "none"


def test_none_is_no_candidate_where_edges_compete() -> None:
    space = darts.space(classes=2, nodes=1)
    weights = {name: np.full((2, 8), 0.125, np.float32) for name in space.spec}
    # Losing `none` would hurt most, then losing the last operation.
    score = lambda candidate: sum(10 * rows[:, 0].sum() + rows[:, 7].sum() for rows in candidate.values())  # noqa: E731
    found = perturbation(one_by_one(score))(space, weights)
    assert {edge.op for edge in found["normal"].nodes[0]} == {darts.OPS[7]}


def test_rounds_of_the_published_schedules() -> None:
    rounds, epochs = schedule(DARTS.spec)
    assert epochs == 81
    assert [decisions.epoch for decisions in rounds] == list(range(0, 81, 5))
    assert len(rounds) == 17
    for name in ("normal", "reduce"):
        assert sorted(decisions.edges[name] for decisions in rounds[:14]) == list(range(14))
        assert sorted(decisions.nodes[name] for decisions in rounds[14:]) == [1, 2, 3]
        assert all(name not in decisions.nodes for decisions in rounds[:14])
        assert all(name not in decisions.edges for decisions in rounds[14:])
    rounds, epochs = schedule(NB201.spec)
    assert epochs == 25
    assert [decisions.epoch for decisions in rounds] == [0, 5, 10, 15, 20, 24]
    assert sorted(decisions.edges["cell"] for decisions in rounds) == list(range(6))
    assert not any(decisions.nodes for decisions in rounds)
    assert schedule(DARTS.spec, interval=10)[1] == 161


def test_the_order_is_random_by_seed_or_fixed() -> None:
    def order(seed: int | None) -> list[int]:
        return [decisions.edges["normal"] for decisions in schedule(DARTS.spec, seed=seed)[0][:14]]

    assert order(None) == list(range(14))
    assert order(5) == order(5) != order(6)
    rounds = schedule(DARTS.spec, seed=5)[0]
    assert [decisions.edges["reduce"] for decisions in rounds[:14]] != order(5)
    firsts = [order(seed)[0] for seed in range(300)]
    assert set(firsts) == set(range(14))
    with pytest.raises(UserError, match="at least 1 epoch"):
        schedule(DARTS.spec, interval=0)


def test_groups_of_unequal_size_each_finish_their_own_list() -> None:
    small = Group(3, ("a", "b"), nodes=(((0, 0), (1, 1), (2, 2)),), keep=2)
    large = Group(6, ("a", "b"), nodes=(((0, 0), (1, 1)), ((2, 0), (3, 1)), ((4, 0), (5, 1))), keep=2)
    rounds, epochs = schedule({"small": small, "large": large}, interval=2)
    assert len(rounds) == 6
    assert [set(decisions.edges) for decisions in rounds] == [{"small", "large"}] * 3 + [{"large"}] * 3
    assert [dict(decisions.nodes) for decisions in rounds] == [{}, {}, {}, {"small": 0}, {}, {}]
    assert epochs == 11


def test_candidates_lack_one_operation_and_are_not_rescaled_and_groups_see_each_other() -> None:
    spec = {
        "one": Group(2, ("a", "b", "c"), nodes=(((0, 0), (1, 1)),), keep=2),
        "two": Group(2, ("a", "b", "c"), nodes=(((0, 0), (1, 1)),), keep=2),
    }
    weights = {name: np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], np.float32) for name in spec}
    seen = []

    def score_many(candidates: Weights) -> np.ndarray:
        seen.append({name: np.array(rows) for name, rows in candidates.items()})
        return np.array([3.0, 1.0, 1.0])

    (first, *_), _ = schedule(spec, seed=None)
    projected = project(spec, start(spec), first, weights, score_many)  # type: ignore[arg-type]
    expected = np.repeat(weights["one"][None], 3, axis=0)
    expected[[0, 1, 2], 0, [0, 1, 2]] = 0
    np.testing.assert_array_equal(seen[0]["one"], expected)
    np.testing.assert_array_equal(seen[0]["two"], np.repeat(weights["two"][None], 3, axis=0))
    # Of the equally bad ones the first: operation b, which the second group is then evaluated with.
    np.testing.assert_array_equal(projected.weights["one"], [[0, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(projected.decided["one"], [True, False])
    np.testing.assert_array_equal(seen[1]["one"], np.repeat([[[0, 1, 0], [0.6, 0.3, 0.1]]], 3, axis=0).astype("f4"))
    assert len(seen) == 2


def test_of_equally_good_edges_the_later_are_removed() -> None:
    spec = {"cell": Group(4, ("a", "b"), nodes=(tuple((edge, edge) for edge in range(4)),), keep=2)}
    projected = start(spec)
    rounds, _ = schedule(spec, seed=None)
    rows = {"cell": np.full((4, 2), 0.5, np.float32)}
    flat = lambda candidates: np.zeros(len(candidates["cell"]))  # noqa: E731
    for decisions in rounds:
        projected = project(spec, projected, decisions, rows, flat)  # type: ignore[arg-type]
    # Equal scores: the first operation of each edge, the two first edges.
    np.testing.assert_array_equal(projected.weights["cell"], [[1, 0], [1, 0], [0, 0], [0, 0]])


def test_one_evaluation_of_each_edge_decides_as_the_reference_loop_does() -> None:
    rng = np.random.default_rng(0)
    spec = {"cell": Group(5, ("a",), nodes=(tuple((edge, edge) for edge in range(5)),), keep=2)}
    for _ in range(20):
        without = rng.integers(0, 3, 5).astype(float)
        left = list(range(5))
        while len(left) > 2:
            worst = max(without[edge] for edge in left)
            left.remove([edge for edge in left if without[edge] == worst][-1])
        projected = Projected({"cell": np.ones((5, 1), np.float32)}, {"cell": np.ones(5, bool)})
        decisions = schedule(spec, seed=None)[0][-1]
        rows = {"cell": np.ones((5, 1), np.float32)}
        projected = project(spec, projected, decisions, rows, lambda _: without)  # type: ignore[arg-type, return-value]  # noqa: B023
        assert np.flatnonzero(projected.weights["cell"][:, 0]).tolist() == left


def test_between_rounds_decided_edges_are_frozen_and_the_others_train() -> None:
    _, weights, score = planted(NB201.spec)
    rounds, _ = schedule(NB201.spec, seed=0)
    projected = start(NB201.spec)
    for decisions in rounds[:3]:
        projected = project(NB201.spec, projected, decisions, weights, jax.vmap(score))
    alpha = {"cell": jnp.asarray(np.random.default_rng(1).normal(size=(6, 5)), jnp.float32)}

    @jax.jit
    def mixed(alpha: Weights, projected: Projected) -> Weights:
        return merge(projected, {name: jax.nn.softmax(rows) for name, rows in alpha.items()})

    rows = mixed(alpha, projected)["cell"]
    decided = projected.decided["cell"]
    assert decided.sum() == 3
    np.testing.assert_array_equal(rows[decided], projected.weights["cell"][decided])
    np.testing.assert_allclose(rows[~decided], jax.nn.softmax(alpha["cell"])[~decided])
    grads = jax.grad(lambda alpha: (mixed(alpha, projected)["cell"] ** 2).sum())(alpha)["cell"]
    assert (np.abs(grads).max(axis=1) > 0).tolist() == (~decided).tolist()
    # What a checkpoint holds is enough to go on with.
    restored = jax.tree.unflatten(jax.tree.structure(projected), [leaf.copy() for leaf in jax.tree.leaves(projected)])
    ends = []
    for state in (projected, restored):
        for decisions in rounds[3:]:
            state = project(NB201.spec, state, decisions, weights, jax.vmap(score))  # noqa: PLW2901
        ends.append(derive(NB201, state))
    assert ends[0] == ends[1]


def test_what_cannot_be() -> None:
    _, weights, score = planted(NB201.spec)
    (first, *_), _ = schedule(NB201.spec)
    begun = start(NB201.spec)
    with pytest.raises(UserError, match=r"5 finite scores.*has not diverged"):
        project(NB201.spec, begun, first, weights, lambda _: np.full(5, np.nan))  # type: ignore[arg-type, return-value]
    with pytest.raises(UserError, match="did you mean 'accuracy'"):
        project(NB201.spec, begun, first, weights, jax.vmap(score), "acuracy")
    with pytest.raises(UserError, match=r"edges \[0, 1, 2, 3, 4, 5\].*run the remaining rounds"):
        derive(NB201, begun)
    with pytest.raises(UserError, match="got sampled paths"):
        merge(begun, {"cell": Paths(jnp.ones((6, 5)), jnp.zeros((6, 1), jnp.int32))})  # type: ignore[dict-item]
    whole = {name: np.eye(7, dtype=np.float32)[np.zeros(14, int)] for name in DARTS.spec}
    with pytest.raises(UserError, match=r"edges \[\] and nodes \[1, 2, 3\]"):
        derive(DARTS, Projected(whole, {name: np.ones(14, bool) for name in whole}))
