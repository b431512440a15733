"""What measured profiles are made of, without a clock: what is found, how it adds up, what a calibration recovers."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.costs import CostTable, cost
from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.hardware.live import connected, live
from dnas.hardware.measure.compose import Calibration, calibrate, composed
from dnas.hardware.measure.operations import Parts, elements, parts, weighed
from dnas.hardware.measure.run import Measured, Request, draw, measure
from dnas.hardware.model import MEASURED, CostModel
from dnas.nn.deployed import deployed
from dnas.nn.workload import Call, calls, work
from dnas.selection import random_genotype
from dnas.types import Network, SearchSpace, Variables
from search_spaces import darts, nasbench201

SHAPE = (8, 8, 3)
BATCH = 2
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "darts": {"channels": 2, "cells": 3, "auxiliary": False},
    "nasbench201": {"channels": 2, "cells": 1},
}
SPACES = {
    "darts": darts.space(classes=3, channels=2, cells=3, nodes=2),
    "nasbench201": nasbench201.space(classes=3, channels=2, cells=1),
}
TINY_MACS = 1e-3


@pytest.fixture(scope="module")
def taken_apart() -> Mapping[str, Parts]:
    return {name: parts(space, SETTINGS[name], SHAPE, BATCH) for name, space in SPACES.items()}


def request_of(name: str, **changes: int) -> Request:
    return Request(settings=SETTINGS[name], image=SHAPE, classes=3, batch_size=BATCH, **changes)


def built(name: str, genotype: Genotype) -> Network:
    return SPACES[name].build(genotype, **SETTINGS[name])


def called(network: Network) -> Mapping[Call, int]:
    return calls(network, jax.ShapeDtypeStruct((BATCH, *SHAPE), jnp.float32))


@pytest.mark.parametrize("name", SPACES)
def test_calls_account_for_all_multiply_adds(name: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(4):
        network = built(name, random_genotype(SPACES[name], rng))
        found = called(network)
        assert sum(work(call).macs * count for call, count in found.items()) == BATCH * network.workload(SHAPE).macs


@pytest.mark.parametrize("name", SPACES)
def test_tables_count_the_calls_of_every_network(name: str, taken_apart: Mapping[str, Parts]) -> None:
    space, tables = SPACES[name], taken_apart[name].calls
    rng = np.random.default_rng(1)
    for _ in range(4):
        genotype = random_genotype(space, rng)
        found = called(built(name, genotype))
        assert set(found) <= set(tables)
        for call, table in tables.items():
            assert cost(table, space.spec, genotype) == found.get(call, 0)


@pytest.mark.parametrize("name", SPACES)
def test_every_edge_and_operation_has_an_entry(name: str, taken_apart: Mapping[str, Parts]) -> None:
    found = taken_apart[name]
    returned = weighed(found.calls, {call: elements(call) for call in found.calls}, found.macs)
    for group, own in SPACES[name].spec.items():
        can = [op != "none" for op in own.ops]
        assert (returned.rows[group][:, can] > 0).all()


def test_a_space_that_is_not_made_of_modules_is_told_apart() -> None:
    space = SPACES["nasbench201"]

    def build(genotype: Genotype, **settings: Any) -> Network:
        network = space.build(genotype, **settings)
        return network._replace(apply=lambda variables, x, *, train: (variables.params["kernel"], {}))

    assert parts(space._replace(build=build), SETTINGS["nasbench201"], SHAPE, BATCH).calls == {}


class Fake:
    """A clock by which an operation takes what its multiply-adds say, and a network the sum of its operations."""

    def milliseconds(self, call: Call) -> float:
        return TINY_MACS * work(call).macs + 1e-2

    def times(self, calls: Sequence[Call], networks: Sequence[Network]) -> tuple[Mapping[Call, float], Sequence[float]]:
        return {call: self.milliseconds(call) for call in calls}, self.networks(networks)

    def networks(self, networks: Sequence[Network]) -> Sequence[float]:
        return [sum(self.milliseconds(call) * count for call, count in called(network).items()) for network in networks]


class Whole(Fake):
    """The same where only whole networks can be timed, and take as long as their multiply-adds say."""

    def networks(self, networks: Sequence[Network]) -> Sequence[float]:
        return [1.0 + TINY_MACS * network.workload(SHAPE).macs for network in networks]


@pytest.fixture(scope="module")
def faked(taken_apart: Mapping[str, Parts]) -> Callable[[str], Measured]:
    def run(name: str) -> Measured:
        # Networks of which no part is dead, so that the sum over all modules is what a compiler would leave.
        space = SPACES[name]
        return measure("fake", space, request_of(name, calibration=8, networks=8), taken_apart[name], Fake())

    return run


def test_what_adds_up_is_predicted_exactly(faked: Callable[[str], Measured]) -> None:
    measured = faked("darts")
    np.testing.assert_allclose(measured.predicted, measured.true, rtol=1e-6)
    assert measured.model.kind == MEASURED
    assert measured.model.quality is not None
    assert measured.model.quality.mape < 1e-6
    assert measured.model.quality.spearman == pytest.approx(1.0)
    rng = np.random.default_rng(7)
    space = SPACES["darts"]
    for _ in range(5):
        genotype = random_genotype(space, rng)
        (right,) = Fake().networks([built("darts", genotype)])
        assert measured.model.predict(space.spec, genotype) == pytest.approx(right, rel=1e-6)


def test_without_modules_multiply_adds_and_whole_networks_are_enough(taken_apart: Mapping[str, Parts]) -> None:
    bare = taken_apart["darts"]._replace(calls={})
    measured = measure("fake", SPACES["darts"], request_of("darts", calibration=30, networks=10), bare, Whole())
    assert measured.operations == {}
    assert measured.model.quality is not None
    assert measured.model.quality.mape < 0.02


def test_a_calibration_recovers_what_was_planted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dnas.hardware.measure.compose.TRUSTS", (1e-12,))
    space = SPACES["nasbench201"]
    group = space.spec["cell"]
    rng = np.random.default_rng(3)
    zero = np.array([op == "none" for op in group.ops])
    times = CostTable(2.0, {"cell": np.where(zero, 0.0, rng.uniform(1, 3, (group.edges, len(group.ops))))})
    numbers = CostTable(0.0, {"cell": np.where(zero, 0.0, rng.uniform(50, 90, (group.edges, len(group.ops))))})
    factors = {op: 0.0 if op == "none" else 1.0 + 0.3 * index for index, op in enumerate(group.ops)}
    planted = Calibration(1.5, factors, {op: 0.25 * (op != "none") for op in group.ops}, 4e-3, 0.0)
    right = composed(space.spec, planted, times, numbers)
    genotypes = [random_genotype(space, rng) for _ in range(60)]
    milliseconds = [cost(right, space.spec, live(space.spec, genotype)) for genotype in genotypes]
    found = calibrate(space.spec, genotypes, milliseconds, times, numbers)
    table = composed(space.spec, found, times, numbers)
    assert table.base == pytest.approx(right.base, rel=1e-3)
    np.testing.assert_allclose(table.rows["cell"], right.rows["cell"], rtol=1e-2, atol=1e-3)
    assert found.element == pytest.approx(planted.element, rel=5e-2)
    for op in group.ops[1:]:
        assert found.factors[op] == pytest.approx(planted.factors[op], rel=5e-2)


def cell(*nodes: str) -> Genotype:
    """Return a cell of NAS-Bench-201 from the first letters of its operations."""
    names = {op[0]: op for op in ("none", "skip_connect", "avg_pool_3x3")} | {"c": "nor_conv_3x3"}
    kept = tuple(tuple(Edge(names[letter], source) for source, letter in enumerate(node)) for node in nodes)
    return Genotype("nasbench201", (("cell", Cell(kept, (3,))),))


@pytest.mark.parametrize(
    ("given", "left", "joined"),
    [
        (("c", "cc", "ccc"), ("c", "cc", "ccc"), True),
        (("c", "cc", "ccn"), ("c", "nn", "ccn"), True),
        (("c", "cc", "cnn"), ("n", "nn", "cnn"), True),
        # Node 2 is used and reads node 1, so that the first edge stays.
        (("c", "nc", "nnc"), ("c", "nc", "nnc"), True),
        (("n", "nc", "nnc"), ("n", "nc", "nnc"), False),
        (("c", "cc", "nnn"), ("n", "nn", "nnn"), False),
    ],
)
def test_edges_that_no_output_depends_on_are_left_out(
    given: tuple[str, ...], left: tuple[str, ...], joined: bool
) -> None:
    spec = SPACES["nasbench201"].spec
    assert live(spec, cell(*given)) == cell(*left)
    assert connected(spec, cell(*given)) is joined


def test_where_edges_compete_all_are_used() -> None:
    space = SPACES["darts"]
    genotype = random_genotype(space, np.random.default_rng(0))
    assert live(space.spec, genotype) == genotype
    assert connected(space.spec, genotype)


def test_only_a_measured_model_leaves_out_what_is_not_used() -> None:
    spec = SPACES["nasbench201"].spec
    ones = CostTable(0.0, {"cell": np.ones((6, 5)) * [op != "none" for op in spec["cell"].ops]})
    model = CostModel("x", "latency", MEASURED, "nasbench201", {"cell": spec["cell"].ops}, ones, {}, 1, "float32", "")
    unused = cell("c", "cc", "cnn")
    assert model.predict(spec, unused) == 1
    assert model._replace(kind="fitted").predict(spec, unused) == 4


def test_drawn_networks_differ_and_depend_on_their_input() -> None:
    space = SPACES["nasbench201"]
    drawn = draw(space, 40, seed=0)
    assert len(set(drawn)) == 40
    assert all(connected(space.spec, genotype) for genotype in drawn)
    assert drawn == draw(space, 40, seed=0)
    assert drawn != draw(space, 40, seed=1)
    small: SearchSpace = nasbench201.space(classes=3, channels=2, cells=1, ops=("skip_connect",))
    with pytest.raises(UserError, match="have only 1;"):
        draw(small, 2, seed=0)


def test_folding_leaves_the_numbers_where_batch_norm_does_nothing() -> None:
    network = built("nasbench201", cell("c", "sa", "csa"))
    x = jax.random.normal(jax.random.key(0), (BATCH, *SHAPE))
    variables = jax.jit(network.init)(jax.random.key(1), x)

    def neutral(path: tuple[Any, ...], leaf: jax.Array) -> jax.Array:
        return leaf - 1e-5 if path[-1].key == "var" else leaf

    plain = Variables(variables.params, jax.tree_util.tree_map_with_path(neutral, variables.stats))

    @jax.jit
    def folded(variables: Variables, x: jax.Array) -> jax.Array:
        with deployed():
            return network.apply(variables, x, train=False)[0].logits

    right = jax.jit(lambda variables, x: network.apply(variables, x, train=False)[0].logits)(plain, x)
    np.testing.assert_allclose(folded(plain, x), right, rtol=1e-4, atol=1e-5)
    # A mean of a batch norm that is folded is a summand; that of the last one, after a sum, is still subtracted.
    shifted = jax.tree_util.tree_map_with_path(
        lambda path, leaf: leaf + 0.5 if path[-1].key == "mean" and path[0].key == "last_norm" else leaf, plain.stats
    )
    moved = Variables(plain.params, shifted)
    np.testing.assert_allclose(folded(moved, x), network.apply(moved, x, train=False)[0].logits, rtol=1e-4, atol=1e-5)
