"""Searches that pay for what architectures cost, on a space whose every number is known."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas.costs import CostTable, cost
from dnas.errors import UserError
from dnas.hardware.charge import charged
from dnas.hardware.limits import Limit, read_limits
from dnas.hardware.live import connected
from dnas.hardware.margins import Region
from dnas.hardware.model import FITTED, CostModel
from dnas.hypergradients.first_order import first_order
from dnas.objectives.additive import additive
from dnas.objectives.augmented_lagrangian import augmented_lagrangian
from dnas.objectives.fbnet import fbnet
from dnas.objectives.hinge import hinge
from dnas.objectives.mnasnet import mnasnet
from dnas.objectives.projection import projection
from dnas.objectives.proxyless import proxyless
from dnas.relaxations.softmax import softmax
from dnas.search import compose
from dnas.selection import one_hot, random_genotype, top_edges
from dnas.shrinking import shrunk
from dnas.splitting import split_search
from dnas.types import Penalty, Search, SearchSpace, SearchState
from search_spaces import nasbench201

STEPS, LIMIT = 300, 13.0
HARD = {"hinge": hinge, "augmented_lagrangian": augmented_lagrangian, "projection": projection}
SOFT = {
    "additive": additive,
    "proxyless": proxyless,
    "proxyless, log": partial(proxyless, form="log"),
    "fbnet": fbnet,
    "mnasnet": mnasnet,
}
COMPOSITIONS: dict[str, Callable[..., Search]] = {
    "alternating": partial(compose, hypergradient=first_order()),
    "single level": partial(compose, hypergradient=first_order(), single_level=True, weights_first=True),
    "joint": partial(compose, hypergradient=None),
    "split": partial(split_search, balance=1.0, coupling=1.0),
}


def composed(space: SearchSpace, composition: Callable[..., Search], **parts: Any) -> Search:
    rates = {"weight_optimizer": optax.sgd(0.0), "alpha_optimizer": optax.adam(0.05)}
    return composition(space, softmax(), selection=top_edges, **{**rates, **parts})


def ended(planted: Any, search: Search, steps: int = STEPS, seeds: int | None = None) -> SearchState:
    """Return the last state of a search, or the stacked states of several seeds under `vmap`."""

    def run(key: jax.Array) -> SearchState:
        state = search.init(key, jnp.zeros((2, 1)))
        return jax.lax.scan(lambda state, batch: (search.step(state, batch)[0], None), state, planted.batches(steps))[0]

    keys = jax.random.key(0) if seeds is None else jax.random.split(jax.random.key(0), seeds)
    return jax.jit(run if seeds is None else jax.vmap(run))(keys)  # type: ignore[no-any-return]


def held(planted: Any, penalty: Callable[..., Penalty], limit: float = LIMIT, **settings: Any) -> SearchSpace:
    limits = [Limit(0, "pi.latency", limit)]
    return charged(planted.space(), [planted.model()], limits, penalty([limit]), **settings)


def paid(space: SearchSpace, search: Search, state: SearchState) -> float:
    assert space.charge is not None
    return float(space.charge.costs(search.weights(state))[0])


@pytest.fixture(scope="module")
def free(planted: Any) -> dict[str, SearchState]:
    return {name: ended(planted, composed(planted.space(), one)) for name, one in COMPOSITIONS.items()}


@pytest.mark.parametrize("name", COMPOSITIONS)
@pytest.mark.parametrize("objective", HARD)
def test_hard_limits_are_kept_by_what_is_expected(objective: str, name: str, planted: Any, free: Any) -> None:
    space = held(planted, HARD[objective])
    search = composed(space, COMPOSITIONS[name])
    assert paid(space, search, free[name]) > 20
    state = ended(planted, search)
    found = paid(space, search, state)
    assert found <= LIMIT * 1.05
    # Nor is more given up than the limit asks for.
    assert found >= LIMIT * 0.8
    assert cost(planted.model().table, space.spec, search.select(state)) <= LIMIT


@pytest.mark.parametrize("objective", SOFT)
def test_soft_objectives_lower_the_cost_and_what_is_kept_is_within(objective: str, planted: Any, free: Any) -> None:
    space = held(planted, SOFT[objective])
    search = composed(space, COMPOSITIONS["alternating"])
    early = [
        paid(space, one, ended(planted, one, 40)) for one in (search, composed(planted.space(), COMPOSITIONS["joint"]))
    ]
    assert early[0] < early[1]
    state = ended(planted, search)
    assert cost(planted.model().table, space.spec, search.select(state)) <= LIMIT


@pytest.mark.parametrize("name", COMPOSITIONS)
@pytest.mark.parametrize("objective", HARD)
def test_a_limit_that_is_never_met_changes_no_bit(objective: str, name: str, planted: Any, free: Any) -> None:
    search = composed(held(planted, HARD[objective], limit=100.0), COMPOSITIONS[name])
    state = ended(planted, search)
    for own, other in zip(state.alpha.values(), free[name].alpha.values(), strict=True):
        np.testing.assert_array_equal(own, other)
    assert all((np.asarray(leaf) == 0).all() for leaf in jax.tree.leaves(state.charge))
    plain = composed(planted.space(), COMPOSITIONS[name])
    assert search.select(state) == plain.select(free[name])


def test_a_step_descends_on_the_total(planted: Any) -> None:
    space = held(planted, partial(mnasnet, beta=-2.0))
    search = composed(space, COMPOSITIONS["alternating"], alpha_optimizer=optax.sgd(1.0))
    before = search.init(jax.random.key(0), jnp.zeros((2, 1)))
    batches = jax.tree.map(lambda leaf: leaf[0], planted.batches(1))
    after, _ = jax.jit(search.step)(before, batches)
    assert space.charge is not None

    def total(alpha: Any) -> jax.Array:
        weights = {"toy": jax.nn.softmax(alpha["toy"], axis=-1)}
        logits, _ = space.apply(before._replace(stats={}), weights, batches.valid.x, train=True)
        loss = -jax.nn.log_softmax(logits)[:, 0].mean()
        return space.charge.penalty.total(loss, space.charge.costs(weights), ())  # type: ignore[union-attr]

    slope = jax.grad(total)(dict(before.alpha))
    np.testing.assert_allclose(before.alpha["toy"] - after.alpha["toy"], slope["toy"], rtol=1e-4, atol=1e-7)


def test_resting_steps_leave_multipliers_and_alpha_alone(planted: Any) -> None:
    search = composed(
        held(planted, augmented_lagrangian, limit=8.0), COMPOSITIONS["alternating"], warm_up=3, alpha_every=2
    )
    resting = [np.asarray(ended(planted, search, steps).charge) for steps in (3, 4, 5, 6)]
    assert [float(values[0]) > 0 for values in resting] == [False, True, True, True]
    assert resting[1] == resting[2] != resting[3]
    # Nor is a resting alpha projected, though it exceeds the limit.
    tight = composed(held(planted, projection, limit=8.0), COMPOSITIONS["alternating"], warm_up=3)
    start = jax.jit(tight.init)(jax.random.key(0), jnp.zeros((2, 1)))
    np.testing.assert_array_equal(ended(planted, tight, 3).alpha["toy"], start.alpha["toy"])
    assert paid(tight.space, tight, ended(planted, tight, 4)) <= 8.0


@pytest.mark.parametrize("objective", HARD)
def test_seeds_run_together_under_vmap(objective: str, planted: Any) -> None:
    search = composed(held(planted, HARD[objective]), COMPOSITIONS["alternating"])
    states = ended(planted, search, 60, seeds=2)
    keys = jax.random.split(jax.random.key(0), 2)
    for seed in range(2):
        state = search.init(keys[seed], jnp.zeros((2, 1)))
        alone, _ = jax.jit(partial(jax.lax.scan, lambda state, batch: (search.step(state, batch)[0], None)))(
            state, planted.batches(60)
        )
        np.testing.assert_allclose(states.alpha["toy"][seed], alone.alpha["toy"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("expected", ["derived", "kept", "mixed"])
def test_costs_of_one_hot_weights_are_those_of_the_architecture(expected: str, planted: Any) -> None:
    space = held(planted, hinge, expected=expected)
    assert space.charge is not None
    rng = np.random.default_rng(0)
    for _ in range(5):
        genotype = random_genotype(space, rng)
        weights = one_hot(space.spec, genotype)
        assert float(space.charge.costs(weights)[0]) == cost(planted.model().table, space.spec, genotype)


def test_rebuilt_and_shrunk_spaces_are_charged_too(planted: Any) -> None:
    space = held(planted, augmented_lagrangian)
    dear = {"toy": np.array([[False, False, False, True]] * 3)}
    weights = {"toy": np.tile(np.float32([0.1, 0.2, 0.3, 0.4]), (3, 1))}
    for own in (space.rebuild(cells=3), shrunk(space, dear), shrunk(space, dear).rebuild(cells=3)):
        assert own.charge is not None
        assert own.charge.penalty.init().shape == (1,)
        # Where a narrowed space cannot keep the limit, the best of the whole space is kept.
        kept = own.charge.keep(own, weights, top_edges(own, weights))  # type: ignore[arg-type]
        assert cost(planted.model().table, space.spec, kept) <= LIMIT


def test_a_selection_within_the_limits_is_kept(planted: Any) -> None:
    space = held(planted, hinge)
    assert space.charge is not None
    weights = {"toy": np.random.default_rng(0).random((3, 4)).astype(np.float32)}
    cheap = {"toy": np.where(np.arange(4) == 1, 2.0, weights["toy"])}
    chosen = top_edges(space, cheap)  # type: ignore[arg-type]
    assert space.charge.keep(space, weights, chosen) == chosen  # type: ignore[arg-type]


def test_margins_make_room_for_errors_of_the_prediction(planted: Any) -> None:
    model = planted.model(quality=planted.quality(0.25))
    limits = [Limit(0, "pi.latency", 15.0)]
    space = charged(planted.space(), [model], limits, hinge([15.0]))
    plain = charged(planted.space(), [model], limits, hinge([15.0]), confidence=0.0)
    weights = {"toy": np.tile(np.float32([0.1, 0.2, 0.3, 0.5]), (3, 1))}
    chosen = top_edges(space, weights)  # type: ignore[arg-type]
    found = [
        own.charge.keep(own, weights, chosen)  # type: ignore[union-attr, arg-type]
        for own in (space, plain)
    ]
    assert [cost(model.table, space.spec, one) for one in found] == [10.0, 13.0]
    ratio = space.charge.costs(weights) / plain.charge.costs(weights)  # type: ignore[union-attr, arg-type]
    np.testing.assert_allclose(ratio, 1.25, rtol=1e-6)


def test_the_least_that_a_refusal_names_is_enough(planted: Any) -> None:
    """Where margins depend on the cost, that of the cheapest network and not that of the refused limit is named."""
    regions = (Region(3.0, {"0.95": 1.0}), Region(50.0, {"0.95": 0.1}))
    model = planted.model(quality=planted.quality(0.25)._replace(regions=regions))

    def held(limit: float) -> SearchSpace:
        return charged(planted.space(), [model], [Limit(0, "pi.latency", limit)], hinge([limit]))

    with pytest.raises(UserError, match="from ") as refused:
        held(0.5)
    least, most = (float(one) for one in re.findall(r"from ([\d.]+) ms to ([\d.]+) ms", str(refused.value))[0])
    space, rng = planted.space(), np.random.default_rng(0)
    costs = sorted(cost(model.table, space.spec, random_genotype(space, rng)) for _ in range(100))
    assert least == pytest.approx(model.raised(costs[0], 0.95), rel=1e-3)
    assert most == pytest.approx(model.raised(costs[-1], 0.95), rel=1e-3)
    assert held(least * 1.001).charge is not None
    with pytest.raises(UserError):
        held(least * 0.99)


def test_what_a_device_cannot_run_counts_as_the_dearest_and_is_never_kept(planted: Any) -> None:
    rows = np.array([[0.0, 1.0, np.nan, 10.0]] * 3)
    model = planted.model(rows=rows)
    space = charged(planted.space(), [model], [Limit(0, "pi.latency", 100.0)], hinge([100.0]))
    assert space.charge is not None
    weights = {"toy": np.tile(np.float32([0.0, 0.25, 0.5, 0.25]), (3, 1))}
    assert float(space.charge.costs(weights)[0]) == pytest.approx(2 + 2 * (0.25 + 7.5))  # type: ignore[arg-type]
    kept = space.charge.keep(space, weights, top_edges(space, weights))  # type: ignore[arg-type]
    assert {edge.op for edge in kept["toy"].nodes[0]} <= {"cheap", "dear"}
    slope = jax.grad(lambda weights: space.charge.costs(weights)[0])(weights)  # type: ignore[union-attr]
    assert np.isfinite(slope["toy"]).all()


def test_two_devices_and_parameters_at_once(planted: Any) -> None:
    models = [planted.model("pi"), planted.model("phone", rows=planted.model().table.rows["toy"][:, [0, 3, 2, 1]])]
    models.append(planted.model("exact", "params", kind="exact"))
    limits = read_limits(["pi.latency=13ms", "phone.latency=13ms", "params=12"], models)
    penalty = augmented_lagrangian([limit.value for limit in limits])
    space = charged(planted.space(), models, limits, penalty)
    search = composed(space, COMPOSITIONS["alternating"])
    state = ended(planted, search)
    assert state.charge.shape == (3,)
    kept = search.select(state)
    assert all(models[limit.model].predict(space.spec, kept) <= limit.value for limit in limits)


def test_what_cannot_be_kept_is_refused_with_what_can(planted: Any, sentence: Any) -> None:
    space, model = planted.space(), planted.model(quality=planted.quality(0.25))
    with sentence("pi.latency", "at most 4 ms", "from 5 ms to 27.5 ms", "25 %", "95 %", "lower confidence"):
        charged(space, [model], [Limit(0, "pi.latency", 4.0)], hinge([4.0]))
    with sentence("at most 3 ms", "from 4 ms to 22 ms"):
        charged(space, [model], [Limit(0, "pi.latency", 3.0)], hinge([3.0]), confidence=0.0)
    opposed = planted.model("phone", rows=12.0 - planted.model().table.rows["toy"])
    both = [Limit(0, "pi.latency", 5.0), Limit(1, "phone.latency", 10.0)]
    with sentence("pi.latency of at most 5 ms, phone.latency of at most 10 ms", "none keeps all"):
        charged(space, [planted.model(), opposed], both, hinge([5.0, 10.0]))
    nothing = planted.model(rows=np.full((3, 4), np.nan))
    with sentence("pi can run no network"):
        charged(space, [nothing], [Limit(0, "pi.latency", 5.0)], hinge([5.0]))


def test_senseless_settings_are_one_sentence(planted: Any, sentence: Any) -> None:
    for settings, words in (
        ({"expected": "best"}, ("best", "kept", "mixed")),
        ({"confidence": 1.0}, ("confidence is 1",)),
        ({"confidence": -0.1}, ("confidence is -0.1",)),
    ):
        with sentence(*words):
            held(planted, hinge, **settings)
    with sentence("limit", "latency=12ms"):
        charged(planted.space(), [planted.model()], [], hinge([1.0]))
    with pytest.raises(ValueError, match="one for each limit"):
        charged(planted.space(), [planted.model()], [Limit(0, "pi.latency", 9.0)], hinge([9.0, 9.0]))


def test_dead_networks_are_those_that_the_space_says_are_not_connected() -> None:
    spec = nasbench201.space(classes=2, channels=4, cells=1).spec
    for index in range(0, 15_625, 7):
        genotype = nasbench201.from_index(index)
        assert connected(spec, genotype) == nasbench201.connected(genotype)


def test_a_dead_network_is_not_kept_where_another_is_within_the_limit() -> None:
    space = nasbench201.space(classes=2, channels=4, cells=1)
    costs = {"none": 0.0, "skip_connect": 1.0}
    rows = np.tile([costs.get(op, 5.0) for op in space.spec["cell"].ops], (6, 1))
    model = CostModel(
        "made-up",
        "latency",
        FITTED,
        space.name,
        {"cell": space.spec["cell"].ops},
        CostTable(0.0, {"cell": rows}),
        {},
        1,
        "float32",
        "made up",
    )
    own = charged(space, [model], [Limit(0, "made-up.latency", 3.0)], hinge([3.0]))
    dead = np.zeros((6, 5), np.float32)
    dead[:, space.spec["cell"].ops.index("none")] = 1
    chosen = top_edges(space, {"cell": dead})
    kept = own.charge.keep(own, {"cell": dead}, chosen)
    assert not connected(space.spec, chosen)
    assert connected(space.spec, kept)
    assert model.predict(space.spec, kept) == 1.0, "one skip from the input to the output"
