"""What single methods have of their own."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy.special import gammaln
from scipy.stats import chisquare, dirichlet

from dnas.methods.drnas import divergence
from dnas.methods.drop_nas import decayed_after
from dnas.methods.setn import uniform
from dnas.optimizers import clipped_sgd
from dnas.types import Batch, Batches, Bilevel, Evaluation, Lower, Paths
from search_spaces import darts, nasbench201


def test_pc_darts_sends_a_fourth_of_the_channels_through(take: Any) -> None:
    space = darts.space(classes=10)
    asked: list[dict[str, int]] = []

    def rebuild(**changes: int) -> Any:
        asked.append(changes)
        return space._replace(name="partial")

    assert take("pc_darts", space._replace(rebuild=rebuild)).search.space.name == "partial"
    assert take("drnas", space._replace(rebuild=rebuild)).search.space.name == "darts"
    assert take("drnas", space._replace(rebuild=rebuild), partial_channels=6).search.space.name == "partial"
    assert asked == [{"partial_channels": 4}, {"partial_channels": 6}]


def test_pc_darts_selects_by_the_product_of_operation_and_edge(take: Any) -> None:
    taken = take("pc_darts")
    alpha, _ = taken.parts["relaxation"].init(jax.random.key(0), taken.search.space.spec)
    # The last node has the edges 9 to 13. All of them like operation 4 best, edge 9 most; the edges' own weights turn
    # that round.
    rows = jnp.zeros((14, 8)).at[:, 4].set(1.0).at[9, 4].set(1.2)
    heavy = jnp.zeros(14).at[jnp.array([11, 13])].set(2.0)
    state = taken.state({**alpha, "normal": rows, "normal/edges": heavy})
    kept = taken.search.select(state)["normal"].nodes[3]
    assert [(edge.op, edge.source) for edge in kept] == [("sep_conv_3x3", 2), ("sep_conv_3x3", 4)]
    np.testing.assert_allclose(taken.search.weights(state)["normal"][9:].sum(), 1.0, rtol=1e-6)


def test_pc_darts_weighs_no_edges_where_all_are_kept(take: Any) -> None:
    taken = take("pc_darts", "nasbench201")
    alpha, _ = taken.parts["relaxation"].init(jax.random.key(0), taken.search.space.spec)
    assert {name: rows.shape for name, rows in alpha.items()} == {"cell": (6, 5)}


@pytest.mark.parametrize("clip_norm", [5.0, 1e-3])
def test_second_order_by_finite_difference_takes_its_virtual_step_without_clipping(clip_norm: float, take: Any) -> None:
    eta, decay, w, a = 0.1, 0.05, jnp.asarray([-2.0]), jnp.asarray([1.5])
    taken = take(
        "darts_second_order",
        finite_difference=True,
        clip_norm=clip_norm,
        weight_lr=eta,
        weight_decay=decay,
        momentum=0.0,
    )
    optimizer = taken.parts["weight_optimizer"]

    def inner(params: Any, alpha: Any, *_: Any) -> Any:
        return jnp.sum((params - alpha) ** 2), Evaluation((), w)

    def outer(params: Any, alpha: Any, *_: Any) -> Any:
        return jnp.sum(alpha * params - 2 * alpha), Evaluation((), w)

    def update(grads: Any, opt: Any, params: Any) -> Any:
        updates, opt = optimizer.update(grads, opt, params)
        return optax.apply_updates(params, updates), opt

    batch = Batch(w, w)
    found, _ = taken.parts["hypergradient"].estimate(
        jax.random.key(0), Bilevel(inner, outer, update), Lower(w, (), optimizer.init(w)), a, (), Batches(batch, batch)
    )
    ahead = w - eta * (2 * (w - a) + decay * w)
    np.testing.assert_allclose(found.grads, ahead - 2 + 2 * eta * a, rtol=1e-3)


def test_gdas_draws_one_path_with_either_gradient(take: Any) -> None:
    for gradient in ("straight_through", "reinmax"):
        taken = take("gdas", gradient=gradient)
        alpha, state = taken.parts["relaxation"].init(jax.random.key(0), taken.search.space.spec)

        def drawn(alpha: Any, taken: Any = taken, state: Any = state) -> Any:
            return taken.parts["relaxation"].weights(jax.random.key(1), alpha, state)["normal"]

        assert drawn(alpha).active.shape == (14, 1)
        np.testing.assert_array_equal(drawn(alpha).weights.sum(axis=-1), 1.0)
        assert np.abs(jax.grad(lambda alpha: drawn(alpha).weights[:, 0].sum())(alpha)["normal"]).max() > 0


@pytest.mark.parametrize("name", ["darts", "darts_second_order"])
def test_sparsemax_leaves_weak_operations_out(name: str, take: Any) -> None:
    alpha = {group: jnp.zeros((14, 8)).at[:, 2].set(2.0) for group in ("normal", "reduce")}
    sparse, soft = (take(name, mixing=mixing) for mixing in ("sparsemax", "softmax"))
    np.testing.assert_array_equal((sparse.search.weights(sparse.state(alpha))["normal"] > 0).sum(axis=-1), 1)
    np.testing.assert_array_equal((soft.search.weights(soft.state(alpha))["normal"] > 0).sum(axis=-1), 8)


def test_proxyless_computes_two_paths_or_all(take: Any) -> None:
    for gates, kind in (("two", Paths), ("full", jax.Array)):
        taken = take("proxyless", gates=gates)
        alpha, state = taken.parts["relaxation"].init(jax.random.key(0), taken.search.space.spec)
        rows = taken.parts["relaxation"].weights(jax.random.key(1), alpha, state)["normal"]
        assert isinstance(rows, kind)
        assert gates == "full" or rows.active.shape == (14, 2)


def test_fair_darts_pays_for_undecided_weights_and_keeps_heavy_ones(take: Any) -> None:
    taken = take("fair_darts")
    weights = {"normal": jnp.full((14, 8), 0.7), "reduce": jnp.full((14, 8), 0.5)}
    (penalty,) = taken.parts["regularisers"]
    assert float(penalty({}, weights)) == pytest.approx(-10 * 0.5 * 0.2**2, rel=1e-5)
    # sigmoid(1.8) is 0.858 and sigmoid(1.7) 0.846: the threshold 0.85 lies between.
    rows = jnp.full((14, 8), -1.0).at[0, 4].set(1.8).at[1, 4].set(1.7)
    genotype = taken.search.select(taken.state({"normal": rows, "reduce": rows}))
    assert [(edge.op, edge.source) for edge in genotype["normal"].nodes[0]] == [("sep_conv_3x3", 0)]


def test_sdarts_widens_its_disturbance_from_epoch_to_epoch(take: Any) -> None:
    perturb = take("sdarts").parts["perturbation"]
    even = {"g": jnp.full((4000, 2), 0.5)}
    for step, radius in ((9, 0.03), (250, 0.03 + 0.27 / 2), (499, 0.03 + 0.27 * 49 / 50)):
        moved = perturb(jax.random.key(step), even, lambda mixture: jnp.zeros(()), jnp.asarray(step))["g"]
        largest = float(jnp.abs(moved - 0.5).max())
        # Of two even weights one rises by the radius where the other falls by it; 4000 edges come near.
        assert 0.9 * radius < largest <= radius * (1 + 1e-5)
        np.testing.assert_allclose(moved.sum(axis=-1), 1.0, rtol=1e-5)


def test_the_adversary_of_sdarts_raises_the_loss(take: Any) -> None:
    perturb = take("sdarts", perturbation="adversarial").parts["perturbation"]
    even = {"g": jnp.full((3, 4), 0.25)}

    def loss(mixture: Any) -> jax.Array:
        return mixture["g"][:, 1].sum()

    gains = [float(loss(perturb(jax.random.key(0), even, loss, jnp.asarray(step))) - loss(even)) for step in (0, 499)]
    assert 0 < gains[0] < gains[1]


def test_setn_draws_every_operation_alike() -> None:
    drawn = uniform(jax.random.key(0), {"g": jnp.zeros((8000, 5))}, lambda mixture: jnp.zeros(()), jnp.zeros(()))["g"]
    np.testing.assert_array_equal(drawn.sum(axis=-1), 1.0)
    assert chisquare(np.asarray(drawn.sum(axis=0))).pvalue > 1e-3


def test_the_divergence_of_drnas_is_that_of_its_distributions() -> None:
    rows = np.array([[0.3, -0.4, 1.7], [0.0, 0.0, 0.0], [-1.0, -2.0, 0.5]], np.float32)
    concentrations = np.where(rows > 0, rows + 1, np.exp(rows))
    # The uniform Dirichlet has the constant density Gamma(K).
    expected = sum(-dirichlet(one).entropy() - gammaln(3) for one in concentrations.astype(float))
    assert float(divergence({"g": jnp.asarray(rows)})) == pytest.approx(expected, rel=1e-4)
    assert float(divergence({"g": jnp.zeros((4, 5))})) == pytest.approx(0.0, abs=1e-5)


def test_drnas_has_one_regulariser_or_the_other(take: Any) -> None:
    assert take("drnas").parts["regularisers"] == ()
    (penalty,) = take("drnas", kl=0.5, alpha_weight_decay=0.0).parts["regularisers"]
    alpha = {"g": jnp.asarray([[0.3, -0.4, 1.7]])}
    assert float(penalty(alpha, {})) == pytest.approx(0.5 * float(divergence(alpha)), rel=1e-6)


def test_drop_nas_steps_twice_and_decays_what_took_part() -> None:
    optimizer = decayed_after(clipped_sgd(0.1, 0.9, 0.0, 1.0), 0.25)
    params, grads = {"w": jnp.asarray([2.0, 3.0])}, {"w": jnp.asarray([4.0, 0.0])}
    updates, state = optimizer.update(grads, optimizer.init(params), params)
    # Against the gradient, clipped to norm 1; then against its momentum and the decay 2 * 0.25 * w, clipped as well.
    first = 2.0 - 0.1 * 1.0
    np.testing.assert_allclose(params["w"] + updates["w"], [first - 0.1 * (0.9 + 0.5 * first), 3.0], rtol=1e-6)
    again, _ = optimizer.update({"w": jnp.zeros(2)}, state, params)
    trace = 0.9 + 0.5 * first
    np.testing.assert_allclose(again["w"], [-0.1 * (0.9 + 0.81) * trace, 0.0], rtol=1e-6)


def test_drop_nas_counts_two_steps_in_each_minibatch(take: Any, rate: Any) -> None:
    optimizer = take("drop_nas", weight_decay=0.0).parts["weight_optimizer"]
    # The second step repeats 0.9 of the first by momentum.
    courses = {0: 0.0375, 19: 0.0375, 20 * 38: 0.0195}
    assert {count: rate(optimizer, count, 1.9) for count in courses} == pytest.approx(courses, rel=1e-3)


def test_snas_clips_the_gradient_of_its_architecture_parameters(take: Any) -> None:
    for clip, length in ((10.0, 10.0), (0.0, 300.0)):
        optimizer = take("snas", alpha_clip_norm=clip, alpha_weight_decay=0.0).parts["alpha_optimizer"]
        alpha = {"g": jnp.zeros((1, 1))}
        _, state = optimizer.update({"g": jnp.full((1, 1), 300.0)}, optimizer.init(alpha), alpha)
        moment = optax.tree_utils.tree_get(state, "mu")["g"]
        np.testing.assert_allclose(moment, 0.5 * length, rtol=1e-5)


def test_what_a_space_lacks_or_a_word_that_is_unknown_is_one_sentence(take: Any, sentence: Any) -> None:
    bare = darts.space(classes=10, ops=("none", "sep_conv_3x3"))
    single = nasbench201.space(classes=10, ops=("nor_conv_3x3",))
    for name, settings, words in (
        ("darts_minus", {"space": bare}, ("skip_connect", "space.ops")),
        ("darts_minus", {"decay": "liner"}, ("liner", "linear")),
        ("proxyless", {"space": single}, ("two operations", "space.ops")),
        ("proxyless", {"gates": "three"}, ("three", "two")),
        ("proxyless", {"alpha_every": 0}, ("alpha_every", 0)),
        ("pc_darts", {"partial_channels": 5}, ("partial_channels", 5)),
        ("pc_darts", {"warm_up": 1.0}, ("warm-up", 1.0)),
        ("darts", {"mixing": "softmix"}, ("softmix", "softmax")),
        ("darts_second_order", {"mixing": "sparse"}, ("sparse", "sparsemax")),
        ("darts_second_order", {"xi": -1.0}, ("xi", -1.0)),
        ("gdas", {"gradient": "reimax"}, ("reimax", "reinmax")),
        ("gdas", {"temperature": 0.0}, ("temperature", 0.0)),
        ("fair_darts", {"zero_one_form": "l3"}, ("l3", "l2")),
        ("fair_darts", {"minimum": 2.0}, ("minimum", 2.0)),
        ("sdarts", {"perturbation": "adverse"}, ("adverse", "adversarial")),
        ("sdarts", {"ascent_steps": 0}, ("ascent_steps", 0)),
        ("drnas", {"kl": -1.0}, ("kl", -1.0)),
        ("idarts", {"terms": 0}, ("terms", 0)),
        ("rarts", {"balance": 0.0}, ("balance", 0.0)),
        ("drop_nas", {"drop_rate": 1.0}, ("rate", 1.0)),
        ("sharp_darts", {"power": 0.5}, ("power", 0.5)),
    ):
        with sentence(*words):
            take(name, **settings)
