"""The recurrent cell against the equations written out, its counts, and what it refuses."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.genotype import Cell, Edge, Genotype
from dnas.selection import one_hot, random_genotype
from dnas.types import Variables
from search_spaces import rnn

CLASSES, UNITS, NODES, COLUMNS, LENGTH = 7, 4, 3, 5, 6
SPACE = rnn.space(classes=CLASSES, units=UNITS, nodes=NODES)
GROUP = SPACE.spec["recurrent"]
FUNCTIONS = {
    "tanh": np.tanh,
    "relu": lambda x: np.maximum(x, 0),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "identity": lambda x: x,
}


def tokens(columns: int = COLUMNS, length: int = LENGTH) -> jax.Array:
    return jnp.asarray(np.random.default_rng(3).integers(0, CLASSES, (columns, length)), jnp.int32)


def random_variables(init: Any, columns: int = COLUMNS) -> Variables:
    """Return weights of unit size, hidden states and running statistics far from where they begin."""
    rng = np.random.default_rng(0)
    shapes = jax.eval_shape(init, jax.random.key(0), tokens(columns))
    return jax.tree.map(lambda leaf: jnp.asarray(rng.uniform(0.2, 1.2, leaf.shape) - 0.3, leaf.dtype), shapes)


@pytest.fixture(scope="module")
def variables() -> Variables:
    drawn = random_variables(SPACE.init)
    norm = {"mean": drawn.stats["norm"]["mean"], "var": drawn.stats["norm"]["var"] + 0.5}
    return drawn._replace(stats={**drawn.stats, "norm": norm})


def written_out(variables: Variables, weights: np.ndarray, x: np.ndarray, train: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return logits and the last hidden state, operation by operation and edge by edge, as the reference code says."""
    params = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables.params)
    norm = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables.stats["norm"])
    sigmoid = FUNCTIONS["sigmoid"]

    def normalised(state: np.ndarray, index: int) -> np.ndarray:
        mean, var = (state.mean(0), state.var(0)) if train else (norm["mean"][index], norm["var"][index])
        return (state - mean) / np.sqrt(var + 1e-5)

    hidden, logits = np.asarray(variables.stats["hidden"][0], np.float64), []
    for t in range(x.shape[1]):
        both = np.concatenate([params["embedding"][x[:, t]], hidden], axis=-1) @ params["first"]
        c, h = both[:, :UNITS], both[:, UNITS:]
        states = [normalised(hidden + sigmoid(c) * (np.tanh(h) - hidden), 0)]
        row = 0
        for node in range(NODES):
            total = np.zeros_like(hidden)
            for state in states:
                c, h = np.split(state @ params["nodes"][node], 2, axis=-1)
                for column, op in enumerate(GROUP.ops):
                    if op != "none":
                        total += weights[row, column] * (state + sigmoid(c) * (FUNCTIONS[op](h) - state))
                row += 1
            states.append(normalised(total, node + 1))
        hidden = np.mean(states[1:], axis=0)
        logits.append(hidden @ params["embedding"].T + params["bias"])
    return np.stack(logits, axis=1), hidden


@pytest.mark.parametrize("train", [True, False])
def test_the_supernet_computes_the_equations(variables: Variables, train: bool) -> None:
    # A node of three sources sums to about 1, or states grow from step to step.
    weights = np.random.default_rng(1).random((GROUP.edges, len(GROUP.ops))) / 6
    apply = jax.jit(lambda v, x: SPACE.apply(v, {"recurrent": weights}, x, train=train))
    logits, stats = apply(variables, tokens())
    expected, hidden = written_out(variables, weights, np.asarray(tokens()), train)
    np.testing.assert_allclose(logits, expected, rtol=2e-4, atol=2e-4)
    np.testing.assert_allclose(stats["hidden"][0], hidden, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("train", [True, False])
@pytest.mark.parametrize("seed", [0, 1])
def test_one_hot_supernet_is_the_derived_network(variables: Variables, seed: int, train: bool) -> None:
    genotype = random_genotype(SPACE, np.random.default_rng(seed))
    network, inherited = SPACE.build(genotype, searched=True), SPACE.inherit(genotype, variables)
    logits, after = SPACE.apply(variables, one_hot(SPACE.spec, genotype), tokens(), train=train)
    output, stats = network.apply(inherited, tokens(), train=train)
    np.testing.assert_allclose(output.logits, logits, rtol=1e-4, atol=1e-4)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), stats, after)
    assert np.std(logits) > 1e-2


@pytest.mark.parametrize(("classes", "units", "nodes"), [(7, 4, 3), (65, 16, 8), (2, 1, 1)])
def test_sizes_are_the_closed_forms(classes: int, units: int, nodes: int) -> None:
    space = rnn.space(classes=classes, units=units, nodes=nodes)
    expected = units * classes + classes + 4 * units**2 + 2 * nodes * units**2
    genotype = random_genotype(space, np.random.default_rng(0))
    network = rnn.build(genotype, classes=classes, units=units)
    for init in (space.init, network.init):
        params = jax.eval_shape(init, jax.random.key(0), tokens()).params
        assert sum(leaf.size for leaf in jax.tree.leaves(params)) == expected
    size = network.workload((LENGTH,))
    assert size.params == expected
    assert size.macs == LENGTH * (4 * units**2 + 2 * nodes * units**2 + units * classes)
    assert space.spec["recurrent"].edges == sum(range(1, nodes + 1))


def test_the_published_cell_has_the_published_sizes() -> None:
    # arXiv:1806.09055, table 3: 23 million parameters on PTB, whose vocabulary has 10,000 words.
    assert rnn.build(rnn.DARTS_V2, classes=10000).workload((35,)).params == pytest.approx(23e6, rel=5e-3)
    group = rnn.space(classes=10000).spec["recurrent"]
    assert (group.edges, len(group.ops)) == (36, 5)


def test_published_cells_parse_and_fit_the_space() -> None:
    space = rnn.space(classes=CLASSES, units=UNITS)
    for name, genotype in rnn.published().items():
        rnn.check_genotype(genotype)
        assert rnn.named(name) == genotype == Genotype.from_json(genotype.to_json())
        network = rnn.build(genotype, classes=CLASSES, units=UNITS)
        assert jax.eval_shape(network.init, jax.random.key(0), tokens()).params["nodes"].shape[0] == (
            11 if name == "ENAS" else 8
        )
    for genotype in (rnn.DARTS_V1, rnn.DARTS_V2):
        one_hot(space.spec, genotype)
    assert [node[0].op for node in rnn.DARTS_V1["recurrent"].nodes].count("relu") == 6
    assert [node[0].source for node in rnn.DARTS_V2["recurrent"].nodes] == [0, 1, 1, 1, 2, 5, 3, 5]


def test_weights_are_drawn_from_the_published_range() -> None:
    params = rnn.space(classes=50, units=16).init(jax.random.key(0), tokens()).params
    assert not params["bias"].any()
    for name in ("embedding", "first", "nodes"):
        assert 0.039 < float(jnp.abs(params[name]).max()) <= 0.04


def cell(*nodes: tuple[Edge, ...], concat: tuple[int, ...] = (1,)) -> Genotype:
    return Genotype("rnn", (("recurrent", Cell(nodes, concat)),))


GOOD = (Edge("tanh", 0),)
BAD = {
    "other cell": (Genotype("rnn", (("normal", Cell((GOOD,), (1,))),)), ["expected the cell 'recurrent'"]),
    "no node": (cell(), ["at least one node"]),
    "no edge": (cell(GOOD, ()), ["node 1", "incoming edge"]),
    "none": (cell((Edge("none", 0),)), ["node 0", "unknown operation 'none'"]),
    "later state": (cell(GOOD, (Edge("relu", 2),)), ["node 1", "from 0 to 1, got 2"]),
    "no output": (cell(GOOD, concat=()), ["'concat'"]),
    "missing output": (cell(GOOD, concat=(2,)), ["'concat'", "0 to 1"]),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_genotype_is_one_sentence(sentence: Any, case: str) -> None:
    genotype, words = BAD[case]
    with sentence(*words):
        rnn.build(genotype, classes=CLASSES)


def test_a_bad_argument_is_one_sentence(sentence: Any, variables: Variables) -> None:
    with sentence("dropout of inputs", "1.0"):
        rnn.build(rnn.DARTS_V1, classes=CLASSES, input_dropout=1.0)
    with sentence(f"{NODES} nodes", "got 8"):
        SPACE.inherit(rnn.DARTS_V1, variables)
    with sentence("nodes", "at least 1"):
        rnn.space(classes=2, nodes=0)
    with sentence("unknown operation 'gelu'"):
        rnn.space(classes=2, ops=("none", "gelu"))
    with sentence("unknown genotype", "did you mean 'DARTS_V1'"):
        rnn.named("DARTS_1")
    with sentence("text", "(8, 8, 1)", "experiments/rnn_text.py"):
        SPACE.check((8, 8, 1))
    with sentence("2 columns", "hidden state of 5"):
        SPACE.apply(
            variables, one_hot(SPACE.spec, random_genotype(SPACE, np.random.default_rng(0))), tokens(2), train=True
        )
    network = rnn.build(rnn.DARTS_V1, classes=CLASSES, units=UNITS)
    own = random_variables(network.init)
    with sentence("give apply a key"):
        network.apply(own, tokens(), train=True)
    with sentence("no drop path"):
        network.apply(own, tokens(), train=False, drop_path=0.1)
