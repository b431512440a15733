"""The objectives against their formulas, written out, and the multiplier of a known problem."""

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.objectives.additive import additive
from dnas.objectives.augmented_lagrangian import augmented_lagrangian
from dnas.objectives.fbnet import fbnet
from dnas.objectives.hinge import hinge
from dnas.objectives.mnasnet import mnasnet
from dnas.objectives.proxyless import proxyless
from dnas.types import Penalty

LOSS, COSTS, LIMITS = 1.5, (40.0, 9.0), (80.0, 6.0)


def total(penalty: Penalty, costs: Any = COSTS, state: Any = None) -> float:
    own = penalty.init() if state is None else state
    return float(penalty.total(jnp.float32(LOSS), jnp.asarray(costs, jnp.float32), own))


def factor(alpha: float, beta: float) -> float:
    return (40 / 80) ** -alpha * (9 / 6) ** -beta


@pytest.mark.parametrize(
    ("penalty", "expected"),
    [
        (additive(LIMITS, weight=0.3), LOSS + 0.3 * (0.5 + 1.5)),
        (proxyless(LIMITS, weight=0.3), LOSS + 0.3 * (-0.5 + 0.5)),
        (
            proxyless(LIMITS, form="log"),
            0.2 * LOSS * (math.log(40) / math.log(80)) ** 0.3 * (math.log(9) / math.log(6)) ** 0.3,
        ),
        (fbnet(LIMITS), LOSS * 0.2 * math.log(40) ** 0.6 * math.log(9) ** 0.6),
        (mnasnet(LIMITS), LOSS * factor(-0.07, -0.07)),
        (mnasnet(LIMITS, alpha=0.0, beta=-1.0), LOSS * 1.5),
        (mnasnet(LIMITS, alpha=-0.5, beta=-2.0), LOSS * factor(-0.5, -2.0)),
        (hinge(LIMITS, weight=4.0), LOSS + 4 * 0.5),
        (hinge(LIMITS, weight=4.0, squared=True), LOSS + 4 * 0.25),
        (augmented_lagrangian(LIMITS, rho=8.0), LOSS + 8 / 2 * 0.5**2),
    ],
    ids=lambda value: "" if isinstance(value, float) else None,
)
def test_written_out(penalty: Penalty, expected: float) -> None:
    assert total(penalty) == pytest.approx(expected, rel=1e-5)


def test_the_published_reward_of_twice_the_latency() -> None:
    # MnasNet: twice the latency for 5 % more accuracy is worth the same; here, for 5 % less loss.
    soft = mnasnet([1.0])
    ratio = total(soft, [2.0]) / total(soft, [1.0])
    assert ratio == pytest.approx(1.05, abs=0.001)


@pytest.mark.parametrize("factory", [fbnet, lambda limits: proxyless(limits, form="log")], ids=["fbnet", "proxyless"])
def test_logarithms_go_on_smoothly_below_e_units(factory: Any) -> None:
    penalty = factory([80.0])
    slope = jax.grad(lambda cost: penalty.total(jnp.float32(LOSS), cost[None], ()))
    below, above = (float(slope(jnp.float32(math.e * (1 + side)))) for side in (-1e-3, 1e-3))
    assert below == pytest.approx(above, rel=5e-3)
    found = [total(penalty, [cost]) for cost in (0.0, 1e-6, 0.5, 1.0, 2.0, math.e, 3.0)]
    assert np.isfinite(found).all()
    assert (np.diff(found) > 0).all()


def minimised(penalty: Penalty, steps: int = 300) -> tuple[float, Any]:
    """Return where alternating steps on (x - 3)^2 with the cost x and the limit 1 end, and the state there."""

    def step(carry: Any, _: None) -> Any:
        x, state = carry
        slope = jax.grad(lambda x: penalty.total((x - 3.0) ** 2, x[None], state))(x)
        return (x - 0.05 * slope, penalty.advance(x[None], state)), None

    (x, state), _ = jax.jit(lambda: jax.lax.scan(step, (jnp.float32(3.0), penalty.init()), None, length=steps))()
    return float(x), state


def test_the_multiplier_of_a_known_problem_is_found() -> None:
    x, multipliers = minimised(augmented_lagrangian([1.0]))
    assert x == pytest.approx(1.0, abs=1e-3)
    assert float(multipliers[0]) == pytest.approx(4.0, rel=1e-3)


def test_where_the_loss_keeps_the_limit_there_is_no_multiplier() -> None:
    x, multipliers = minimised(augmented_lagrangian([4.0]))
    assert x == pytest.approx(3.0, abs=1e-4)
    assert float(multipliers[0]) == 0.0


def test_squared_excess_exceeds_by_what_the_weight_leaves() -> None:
    # 2 (x - 3) + 2 weight (x - 1) = 0.
    x, _ = minimised(hinge([1.0], weight=4.0, squared=True))
    assert x == pytest.approx((6 + 8) / (2 + 8), rel=1e-3)


def test_multipliers_stay_within_their_safeguard() -> None:
    penalty = augmented_lagrangian([1.0, 1.0], rho=10.0, rate=0.1, largest=3.0)
    state = penalty.init()
    for _ in range(5):
        state = penalty.advance(jnp.array([2.0, 0.5]), state)
    np.testing.assert_allclose(state, [3.0, 0.0])
    np.testing.assert_allclose(penalty.advance(jnp.array([0.8, 1.2]), state), [2.8, 0.2], rtol=1e-5)
