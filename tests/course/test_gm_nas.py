"""Few-shot search: sub-supernets trained together are those trained apart, and a run of them is the same again."""

from collections.abc import Callable
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas.fewshot import all_allowed, divisible, inherit, one_by_one, restart, split, split_epochs, together
from dnas.fewshot.matching import gradient_distances, operation_gradients, without_own
from dnas.fewshot.together import part
from dnas.losses import cross_entropy
from dnas.relaxations.masked import allowed
from dnas.run.directory import RunDirectory
from dnas.run.loop import Finished, Lane, last_state
from dnas.run.searching import Searching
from dnas.selection import one_hot, random_genotype
from dnas.types import Batch, Batches, Group, Search, SearchSpace, SearchState, Variables

OPS = ("none", "skip_connect", "linear", "tanh")
GROUP = Group(3, OPS, nodes=(((0, 0),), ((1, 0), (2, 1))), keep=None, concat=(2,))
WIDTH = 4
EXAMPLE = jnp.zeros((2, 1, 3, 1))
Ran = tuple[RunDirectory, list[Searching], Finished]


def init(key: jax.Array, x: jax.Array) -> Variables:
    keys = jax.random.split(key, 4)
    shapes = {"stem": (3, WIDTH), "linear": (3, WIDTH, WIDTH), "tanh": (3, WIDTH, WIDTH), "head": (WIDTH, 2)}
    pairs = zip(keys, shapes.items(), strict=True)
    return Variables({name: jax.random.normal(own, shape) / 2 for own, (name, shape) in pairs}, {})


def apply(variables: Variables, mixture: Any, x: jax.Array, *, train: bool) -> tuple[jax.Array, Any]:
    """Two nodes: the first from the stem, the second from both."""
    params, rows = variables.params, mixture["cell"]
    states = [x.reshape(len(x), -1) @ params["stem"]]
    for incoming in GROUP.nodes:
        total = jnp.zeros_like(states[0])
        for edge, source in incoming:
            h = states[source]
            total += rows[edge, 1] * h + rows[edge, 2] * (h @ params["linear"][edge])
            total += rows[edge, 3] * jnp.tanh(h @ params["tanh"][edge])
        states.append(total)
    return jnp.sin(states[-1]) @ params["head"], variables.stats


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("a search must not build a network")


SPACE = SearchSpace("family", {"cell": GROUP}, init, apply, refuse, refuse, lambda shape: None)
SETTINGS = {"epochs": 4, "alpha_lr": 0.05, "weight_lr": 0.1, "minibatches": 2}


def gm(**settings: Any) -> Callable[[int], Search]:
    return lambda steps: dnas.gm_nas(SPACE, steps_per_epoch=steps, **{**SETTINGS, **settings})


@pytest.fixture(scope="module")
def driven(begin: Any, to_the_end: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Ran]:
    def drive(make: Callable[[int], Search]) -> Ran:
        run = RunDirectory.create(tmp_path_factory.mktemp("gm_nas") / "run", False)
        return run, *to_the_end(begin(make), run)

    return drive


@pytest.fixture(scope="module")
def split_twice(driven: Any) -> Ran:
    """Four sub-supernets, by splits after the first and the second epoch, that inherit everything."""
    ran: Ran = driven(gm(restart=False, warm_up=0.0))
    return ran


@pytest.fixture(scope="module")
def batches() -> Batches:
    rng = np.random.default_rng(0)

    def batch() -> Batch:
        return Batch(jnp.asarray(rng.normal(size=(8, 1, 3, 1)), jnp.float32), jnp.asarray(np.arange(8) % 2))

    return Batches(batch(), batch())


@pytest.fixture(scope="module")
def single() -> Search:
    return gm(restart=False, warm_up=0.0)(4)


@pytest.mark.parametrize(
    ("arguments", "epochs"),
    [((2, 0.5, 60), (15, 30)), ((3, 0.286, 21), (2, 4, 6)), ((2, 0.5, 2), (1,)), ((1, 1.0, 5), (4,))],
)
def test_splits_are_spread_over_their_share_of_the_search(arguments: Any, epochs: tuple[int, ...]) -> None:
    assert split_epochs(*arguments) == epochs


@pytest.mark.parametrize("fresh", [False, True])
def test_sub_supernets_together_are_the_same_apart(single: Search, batches: Batches, fresh: bool) -> None:
    state = single.init(jax.random.key(0), EXAMPLE)._replace(memory=())
    children = split(all_allowed(SPACE.spec), "cell", 1, [[0, 2], [1], [3]])
    if fresh:
        stacked = restart(single, jax.random.key(1), EXAMPLE, state, children)
    else:
        stacked = inherit(state, [state] * 3, children)
    assert stacked.step.shape == ()
    search, apart = together(single), [part(stacked, index) for index in range(3)]
    step, both = jax.jit(single.step), jax.jit(search.step)
    for _ in range(4):
        stacked, info = both(stacked, batches)
        apart, infos = zip(*(step(own, batches) for own in apart), strict=True)
        np.testing.assert_allclose(info.train_loss, np.mean([own.train_loss for own in infos]), rtol=1e-5)
    assert int(stacked.step) == 4
    for index, own in enumerate(apart):
        taken = part(stacked, index)
        jax.tree.map(
            lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6),
            taken._replace(key=()),
            own._replace(key=()),
        )
        rows = np.asarray(single.weights(taken)["cell"])
        assert not rows[~children[index]["cell"]].any()
        np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-5)
    assert not np.allclose(stacked.params["linear"][0], stacked.params["linear"][1])


def test_with_one_group_it_is_the_search_that_is_never_split(driven: Any, split_twice: Ran) -> None:
    _, stages, finished = driven(gm(restart=False, warm_up=0.0, groups=1, splits=1))

    def darts(steps: int) -> Search:
        own = {"epochs": 4, "alpha_lr": 0.05, "weight_lr": 0.1, "weight_decay": 5e-4, "nesterov": True}
        return dnas.darts(SPACE, steps_per_epoch=steps, **own)

    _, [whole], expected = driven(darts)
    assert len(stages) == 2
    own = part(finished.state, 0)
    for one, other in ((own.params, expected.state.params), (own.alpha, expected.state.alpha)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5), one, other)
    assert stages[-1].search.select(finished.state) == whole.search.select(expected.state)


def test_distances_leave_out_what_belongs_to_the_edge(single: Search, batches: Batches) -> None:
    variables = SPACE.init(jax.random.key(2), EXAMPLE)
    weights = {"cell": jax.nn.softmax(jax.random.normal(jax.random.key(3), (3, 4)))}
    edge, batch = 2, batches.train
    gradients = operation_gradients(SPACE, "cell")(variables, weights, edge, batch)
    found = gradient_distances(without_own(gradients, [0, 1, 2, 3]))

    @jax.jit
    @jax.grad
    def gradient(params: Any, row: jax.Array) -> jax.Array:
        mixture = {"cell": weights["cell"].at[edge].set(row)}
        return cross_entropy(SPACE.apply(Variables(params, {}), mixture, batch.x, train=True)[0], batch.y)

    vectors = []
    for row in jnp.eye(4):
        own = gradient(variables.params, row)
        shared = {**own, "linear": own["linear"][:edge], "tanh": own["tanh"][:edge]}
        vectors.append(np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(shared)]).astype(np.float64))
    lengths = np.linalg.norm(vectors, axis=1)
    expected = 1 - np.array(vectors) @ np.array(vectors).T / (np.outer(lengths, lengths) + 1e-6)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    # Of two operations without weights nothing is the edge's own; soft gradients are those of a scaled operation.
    soft = operation_gradients(SPACE, "cell", hard=False)(variables, weights, edge, batch)
    scaled = gradient(variables.params, jnp.zeros(4).at[2].set(weights["cell"][edge, 2]))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a[2], b, rtol=1e-4, atol=1e-6), soft, scaled)


def test_each_split_halves_an_edge_of_every_supernet(split_twice: Ran) -> None:
    _, stages, finished = split_twice
    assert [stage.search.course.epochs for stage in stages] == [1, 2, 4]
    masks = np.asarray(allowed(finished.state.relaxation)["cell"])
    assert masks.shape == (4, 3, 4)
    # Every architecture is in exactly one of them.
    every = np.stack(np.meshgrid(*[range(4)] * 3, indexing="ij"), -1).reshape(-1, 3)
    held = [[mask[range(3), choice].all() for choice in every] for mask in masks]
    np.testing.assert_array_equal(np.sum(held, axis=0), 1)
    assert [np.sum(mask.sum(axis=1) == 2) for mask in masks] == [2, 2, 2, 2]


def test_sub_supernets_begin_with_what_their_parents_ended_with(split_twice: Ran) -> None:
    run, stages, _ = split_twice
    ended = [last_state(Lane(stage.phase, run), stage.phase.init()) for stage in stages[:2]]
    begun = [stage.phase.init() for stage in stages[1:]]
    for own in range(2):
        _same(part(begun[0], own), ended[0])
        assert int(begun[own].step) == int(ended[own].step)
    for own in range(4):
        _same(part(begun[1], own), part(ended[1], own // 2))


def _same(one: SearchState, other: SearchState) -> None:
    for name in ("params", "stats", "alpha", "weight_opt", "alpha_opt"):
        jax.tree.map(np.testing.assert_array_equal, getattr(one, name), getattr(other, name))


def test_the_best_sub_supernet_speaks_for_all_and_its_masks_are_kept(split_twice: Ran, lines: Any) -> None:
    run, stages, finished = split_twice
    search, state = stages[-1].search, finished.state
    accuracies, losses = np.asarray(state.memory.accuracies), np.asarray(state.memory.losses)
    best = min(range(4), key=lambda index: (-accuracies[index], losses[index]))
    own = stages[0].search
    assert search.select(state) == own.select(part(state, best))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 1, 3, 1)), jnp.float32)
    np.testing.assert_allclose(jax.jit(search.predict)(state, x), own.predict(part(state, best), x), rtol=1e-5)
    chex.assert_trees_all_close(search.weights(state), own.weights(part(state, best)))
    chosen = one_hot(SPACE.spec, search.select(state))["cell"] > 0
    assert np.asarray(allowed(state.relaxation)["cell"])[best][chosen].all()
    assert [line["supernets"] for line in lines(run)] == [1, 2, 4, 4]
    assert lines(run)[-1]["genotype"] == str(search.select(state))
    # Scores are those of the selected architectures on all validation data.
    rows = np.asarray(stages[-1].phase.arguments[3])
    images, labels = stages[-1].phase.arguments[1]
    x = (np.asarray(images)[rows] / 255 - 0.5) / 0.25
    for index in range(4):
        candidate = one_hot(SPACE.spec, own.select(part(state, index)))
        params = jax.tree.map(lambda leaf, index=index: leaf[index], state.params)
        logits, _ = apply(Variables(params, {}), candidate, jnp.asarray(x, jnp.float32), train=True)
        assert losses[index] == pytest.approx(float(cross_entropy(logits, labels[rows])), rel=1e-3)


def test_an_architecture_is_found_in_the_sub_supernet_that_allows_it(split_twice: Ran, sentence: Any) -> None:
    _, stages, finished = split_twice
    search, state = stages[-1].search, finished.state
    masks = np.asarray(allowed(state.relaxation)["cell"])
    rng = np.random.default_rng(0)
    for _ in range(5):
        genotype = random_genotype(SPACE, rng)
        chosen = one_hot(SPACE.spec, genotype)["cell"] > 0
        [holder] = [index for index in range(4) if masks[index][chosen].all()]
        jax.tree.map(np.testing.assert_array_equal, search.variables(state, genotype), _variables(state, holder))
    # Where several would do, the best; where none does, an error.
    everywhere = state._replace(relaxation=jax.tree.map(jnp.ones_like, state.relaxation))
    best = search.variables(everywhere, search.select(state))
    jax.tree.map(np.testing.assert_array_equal, best, search.variables(state, search.select(state)))
    with sentence("no sub-supernet"):
        search.variables(state._replace(relaxation=jax.tree.map(jnp.zeros_like, state.relaxation)), genotype)
    # A search that is not split has one.
    first = stages[0].phase.init()
    assert stages[0].search.variables(first, genotype) == Variables(first.params, first.stats)


def _variables(state: SearchState, index: int) -> Variables:
    return jax.tree.map(lambda leaf: leaf[index], Variables(state.params, state.stats))


def test_interrupted_across_splits_it_ends_in_the_same_bits(
    again_and_again: Any, driven: Any, lines: Any, bits: Any
) -> None:
    """With the last sub-supernets begun anew, as published."""
    run, stages, finished = driven(gm())
    again, resumed = again_and_again(gm(), 3)
    assert bits(resumed.state) == bits(finished.state)
    assert lines(again) == lines(run)
    begun = stages[-1].phase.init()
    assert int(begun.step) == 2 * 4
    assert not np.any([leaf for leaf in jax.tree.leaves(begun.alpha_opt) if leaf.ndim == 1])
    assert len({bytes(np.asarray(leaf)) for leaf in begun.params["head"]}) == 4
    alpha = [np.array(line["alpha"]["cell"]) for line in lines(run)]
    np.testing.assert_array_equal(alpha[1], np.broadcast_to(alpha[0], (2, 3, 4)))
    assert not np.array_equal(alpha[2], alpha[3])


def test_the_exhaustive_split_gives_every_operation_a_sub_supernet(single: Search) -> None:
    state, whole = single.init(jax.random.key(0), EXAMPLE), all_allowed(SPACE.spec)
    divide = one_by_one(SPACE.spec, 7)
    edges = set()
    for number in range(3):
        children = divide(number, state, whole, None)  # type: ignore[arg-type]
        [edge] = {int(np.flatnonzero(child["cell"].sum(axis=1) == 1)[0]) for child in children}
        assert [np.flatnonzero(child["cell"][edge]).tolist() for child in children] == [[0], [1], [2], [3]]
        edges.add(edge)
    assert edges == {0, 1, 2}


def test_where_edges_compete_no_sub_supernet_is_left_with_nothing_to_choose() -> None:
    spec = {"cell": GROUP._replace(keep=1)}
    children = one_by_one(spec, 0)(0, None, all_allowed(spec), None)  # type: ignore[arg-type]
    parts = [next(np.flatnonzero(row).tolist() for row in child["cell"] if not row.all()) for child in children]
    assert parts == [[0, 1], [2], [3]]


def test_only_whole_edges_with_enough_operations_are_split() -> None:
    offered = ((True, True, False, False), (True,) * 4, (False, True, False, False))
    spec = {"cell": GROUP._replace(allowed=offered)}
    masks = all_allowed(spec)
    assert divisible(spec, masks, 2) == (("cell", 0), ("cell", 1))
    [first, _] = split(masks, "cell", 1, [[0, 1], [2, 3]])
    assert divisible(spec, first, 2) == (("cell", 0),)


def test_settings_that_cannot_work_are_refused(sentence: Any) -> None:
    with sentence("criterion", "random"):
        gm(criterion="random")(4)
    with sentence("edge_rule", "least"):
        gm(edge_rule="least")(4)
    with sentence("search.epochs", 1):
        gm(epochs=1)(4)
    with sentence("search.splits", 3, 4):
        gm(splits=4, epochs=20)(4)
