"""Optimisers against PyTorch's formulas written out, and the schedule's closed form."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas.errors import UserError
from dnas.optimizers import clipped_sgd, cosine_by_epoch, cosine_power_by_epoch, l2_adam, warmup_cosine_by_epoch

Arrays = list[np.ndarray]
STEPS = 5


def problem(seed: int = 0) -> tuple[Arrays, list[Arrays]]:
    """Return two weights and their gradients of some steps, the gradients' norms from small to large."""
    rng = np.random.default_rng(seed)
    shapes = [(3, 2), (4,)]
    return (
        [rng.normal(size=shape) for shape in shapes],
        [[10.0 ** (step - 2) * rng.normal(size=shape) for shape in shapes] for step in range(STEPS)],
    )


def run(optimizer: optax.GradientTransformation, weights: Arrays, gradients: list[Arrays]) -> Arrays:
    params = [jnp.asarray(weight, jnp.float32) for weight in weights]
    state = optimizer.init(params)
    for gradient in gradients:
        updates, state = optimizer.update([jnp.asarray(g, jnp.float32) for g in gradient], state, params)
        params = optax.apply_updates(params, updates)
    return [np.asarray(param) for param in params]


def sgd(
    weights: Arrays, gradients: list[Arrays], rate: Callable[[int], float], momentum: float, decay: float, clip: float
) -> Arrays:
    buffers: Arrays = []
    for step, gradient in enumerate(gradients):
        norm = math.sqrt(sum(float((g**2).sum()) for g in gradient))
        factor = min(1.0, clip / (norm + 1e-6)) if clip else 1.0
        decayed = [factor * g + decay * w for g, w in zip(gradient, weights, strict=True)]
        buffers = [momentum * b + g for b, g in zip(buffers, decayed, strict=True)] if buffers else decayed
        weights = [w - rate(step) * b for w, b in zip(weights, buffers, strict=True)]
    return weights


def adam(weights: Arrays, gradients: list[Arrays], rate: float, beta1: float, beta2: float, decay: float) -> Arrays:
    first, second = ([np.zeros_like(w) for w in weights] for _ in range(2))
    for step, gradient in enumerate(gradients, start=1):
        decayed = [g + decay * w for g, w in zip(gradient, weights, strict=True)]
        first = [beta1 * m + (1 - beta1) * g for m, g in zip(first, decayed, strict=True)]
        second = [beta2 * v + (1 - beta2) * g**2 for v, g in zip(second, decayed, strict=True)]
        weights = [
            w - rate * (m / (1 - beta1**step)) / (np.sqrt(v / (1 - beta2**step)) + 1e-8)
            for w, m, v in zip(weights, first, second, strict=True)
        ]
    return weights


def close(got: Arrays, expected: Arrays) -> None:
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("decay", [0.0, 0.3])
@pytest.mark.parametrize("clip", [0.0, 0.5, 5.0])
def test_sgd(clip: float, decay: float, momentum: float) -> None:
    weights, gradients = problem()
    schedule = cosine_by_epoch(0.1, 0.01, 2, 2)
    got = run(clipped_sgd(schedule, momentum, decay, clip), weights, gradients)
    close(got, sgd(weights, gradients, lambda step: float(schedule(step)), momentum, decay, clip))


def test_sgd_clips_the_global_norm_before_it_adds_the_decay() -> None:
    weights = [np.full(2, 100.0), np.full(2, 100.0)]
    (updates, _) = clipped_sgd(1.0, 0.9, 0.1, 1.0).update(
        [jnp.array([30.0, 0.0]), jnp.array([0.0, 40.0])],
        clipped_sgd(1.0, 0.9, 0.1, 1.0).init([jnp.asarray(w) for w in weights]),
        [jnp.asarray(w) for w in weights],
    )
    close(updates, [np.array([-10.6, -10.0]), np.array([-10.0, -10.8])])


@pytest.mark.parametrize("betas", [(0.5, 0.999), (0.9, 0.9)])
@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_adam(decay: float, betas: tuple[float, float]) -> None:
    weights, gradients = problem()
    close(run(l2_adam(0.05, *betas, decay), weights, gradients), adam(weights, gradients, 0.05, *betas, decay))


def test_adam_decays_through_its_moments() -> None:
    # Decay alone moves every weight by the learning rate, whatever its size; AdamW would shrink in proportion.
    got = run(l2_adam(0.05, 0.5, 0.999, 0.01), [np.array([1.0, -30.0])], [[np.zeros(2)]])
    close(got, [np.array([0.95, -29.95])])


@pytest.mark.parametrize(
    ("peak", "floor", "epochs", "steps"), [(0.025, 0.001, 50, 7), (0.1, 0.0, 3, 1), (1.0, 0.5, 1, 4)]
)
def test_cosine_by_epoch(peak: float, floor: float, epochs: int, steps: int) -> None:
    schedule = jax.jit(cosine_by_epoch(peak, floor, epochs, steps))
    values = np.array(jax.vmap(schedule)(jnp.arange((epochs + 2) * steps))).reshape(epochs + 2, steps)
    assert (values == values[:, :1]).all()
    closed = [floor + (peak - floor) * (1 + math.cos(math.pi * epoch / epochs)) / 2 for epoch in range(epochs)]
    np.testing.assert_allclose(values[:epochs, 0], closed, rtol=1e-6)
    assert values[0, 0] == np.float32(peak)
    np.testing.assert_allclose(values[epochs:], floor, rtol=1e-6, atol=1e-9)
    if epochs > 1:
        assert (np.diff(values[: epochs + 1, 0]) < 0).all()


def test_cosine_of_the_paper() -> None:
    schedule = cosine_by_epoch(0.025, 0.001, 50, 390)
    assert float(schedule(389)) == pytest.approx(0.025, rel=1e-6)
    assert float(schedule(25 * 390)) == pytest.approx(0.013, rel=1e-6)
    assert float(schedule(50 * 390 - 1)) == pytest.approx(0.001 + 0.012 * (1 + math.cos(math.pi * 49 / 50)), rel=1e-5)


def by_epoch(schedule: optax.Schedule, epochs: int, steps: int = 3) -> np.ndarray:
    """Return a schedule's values of each epoch, which are constant within it, and of two epochs more."""
    values = np.array(jax.jit(jax.vmap(schedule))(jnp.arange((epochs + 2) * steps))).reshape(epochs + 2, steps)
    assert values.dtype == np.float32
    assert (values == values[:, :1]).all()
    return values[:, 0]


@pytest.mark.parametrize("power", [1.0, 1.5, 2.0, 10.0])
@pytest.mark.parametrize("epochs", [2, 5, 50])
def test_cosine_power(epochs: int, power: float) -> None:
    peak, floor = 0.025, 1e-4
    values = by_epoch(cosine_power_by_epoch(peak, floor, epochs, 3, power), epochs)
    # As the paper's code has it: the curve is scaled to its own range, t from 1.
    curve = np.array([(1 + math.cos(math.pi * t / epochs)) / 2 for t in range(1, epochs + 1)])
    curve = curve if power == 1 else power ** (curve + 1)
    curve = (curve - curve.min()) / (curve.max() - curve.min())
    np.testing.assert_allclose(values[:epochs], floor + curve * (peak - floor), rtol=1e-5, atol=1e-9)
    assert values[0] == np.float32(peak)
    np.testing.assert_allclose(values[epochs - 1 :], floor, rtol=1e-5)
    assert (np.diff(values[:epochs]) < 0).all()


def test_cosine_power_of_order_one_is_the_cosine_scaled_to_its_own_range() -> None:
    plain = by_epoch(cosine_by_epoch(1.0, 0.0, 20, 3), 20)[1:21]
    scaled = (plain - plain.min()) / (plain.max() - plain.min())
    np.testing.assert_allclose(by_epoch(cosine_power_by_epoch(1.0, 0.0, 20, 3, 1.0), 20)[:20], scaled, atol=1e-6)
    # It is the limit of greater orders, and these fall faster.
    near = by_epoch(cosine_power_by_epoch(1.0, 0.0, 20, 3, 1.0001), 20)[:20]
    np.testing.assert_allclose(near, scaled, atol=1e-4)
    steep = by_epoch(cosine_power_by_epoch(1.0, 0.0, 20, 3, 10.0), 20)[:20]
    assert (steep[1:-1] < scaled[1:-1]).all()


def test_cosine_power_after_a_warm_up() -> None:
    epochs, warmup = 20, 5
    values = by_epoch(cosine_power_by_epoch(1.2, 0.2, epochs, 3, 2.0, warmup), epochs)
    np.testing.assert_allclose(values[: warmup + 1], 0.2 + np.arange(1, warmup + 2) / 6, rtol=1e-6)
    assert values[warmup] == np.float32(1.2)
    late = np.array([(1 + math.cos(math.pi * t / 15)) / 2 for t in range(2, 16)])
    np.testing.assert_allclose(values[warmup + 1 : epochs], 0.2 + 2**late - 1, rtol=1e-5)
    assert values[epochs] == pytest.approx(0.2)
    assert by_epoch(cosine_power_by_epoch(1.0, 0.1, 1, 3), 1)[0] == 1


def test_warm_up_and_cosine_of_pc_darts() -> None:
    values = by_epoch(warmup_cosine_by_epoch(0.5, 0.0, 50, 3), 50)
    np.testing.assert_allclose(values[:5], [0.1, 0.2, 0.3, 0.4, 0.5], rtol=1e-6)
    # The cosine has run on: it does not start again from the peak.
    np.testing.assert_allclose(values[5:50], by_epoch(cosine_by_epoch(0.5, 0.0, 50, 3), 50)[5:50], rtol=1e-5, atol=1e-8)
    assert values[5] < 0.49
    np.testing.assert_allclose(values[50:], 0, atol=1e-9)
    plain = by_epoch(warmup_cosine_by_epoch(0.5, 0.1, 8, 3, warmup=0), 8)
    np.testing.assert_allclose(plain, by_epoch(cosine_by_epoch(0.5, 0.1, 8, 3), 8), rtol=1e-5)


def test_schedules_that_cannot_be() -> None:
    with pytest.raises(UserError, match="order of at least 1"):
        cosine_power_by_epoch(1.0, 0.0, 5, 3, 0.5)
    with pytest.raises(UserError, match="from 0 to 4 of 5 epochs"):
        cosine_power_by_epoch(1.0, 0.0, 5, 3, warmup=5)
    with pytest.raises(UserError, match="from 0 to 5 epochs"):
        warmup_cosine_by_epoch(1.0, 0.0, 5, 3, warmup=6)
