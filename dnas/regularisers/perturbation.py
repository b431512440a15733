"""Training the weights under perturbed operation weights (Chen and Hsieh, *SDARTS*, arXiv:2002.05283).

A supernet that has learnt to bear perturbations loses less when its mixture is made discrete. The random form
(SDARTS-RS) and the adversarial one (SDARTS-ADV) are those of the reference code (xiangning-chen/SmoothDARTS;
`attacker/perturb.py`, read in its copy in ruocwang/darts-pt). Only the step of the weights is perturbed, that of the
architecture parameters is not.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from dnas.errors import UserError
from dnas.types import Array, Mixture, Paths, PRNGKey, Weights

Perturb = Callable[[PRNGKey, Mixture, Callable[[Weights], Array]], Weights]
"""`(key, mixture, loss_of_mixture) -> mixture`; the result is a constant to differentiation."""


def epsilon_schedule(epochs: int, first: float = 0.03, last: float = 0.3) -> Callable[[Array | int], Array]:
    """Return `epoch -> epsilon`, linear from `first` at epoch 0 towards `last`, which epoch `epochs` would have."""

    def schedule(epoch: Array | int) -> Array:
        return first + (last - first) * jnp.minimum(jnp.asarray(epoch), epochs) / epochs

    return schedule


def random_perturbation(epsilon: Array | float) -> Perturb:
    """Return the perturbation by independent uniform numbers from -`epsilon` to `epsilon`.

    Weights are then cut to [0, 1] and each row scaled to sum 1; a row of which nothing is left stays as it was.

    Args:
        epsilon: radius; may be traced.
    """

    def perturb(key: PRNGKey, mixture: Mixture, loss_of_mixture: Callable[[Weights], Array]) -> Weights:
        del loss_of_mixture
        centre = _dense(mixture)
        return jax.lax.stop_gradient(_noisy(key, centre, epsilon))

    return perturb


def adversarial_perturbation(epsilon: Array | float, steps: int = 7) -> Perturb:
    """Return the perturbation that raises the loss, by projected gradient ascent within the L-infinity ball.

    From a random point, `steps` times: a step of `2 * epsilon / steps` along the sign of the gradient, back into the
    ball of radius `epsilon`, then cut to [0, 1] and rows scaled to sum 1 (which may leave the ball a little, as in the
    reference code). Where that has not raised the loss, the mixture stays as it was. `loss_of_mixture` should be the
    training loss in evaluation mode, as there.

    Args:
        epsilon: radius; may be traced.
        steps: gradient steps.

    Raises:
        UserError: if `steps` is less than 1.
    """
    if steps < 1:
        raise UserError(f"steps: expected at least 1 step of ascent, got {steps}")

    def perturb(key: PRNGKey, mixture: Mixture, loss_of_mixture: Callable[[Weights], Array]) -> Weights:
        centre = jax.lax.stop_gradient(_dense(mixture))

        def ascend(point: Weights, _: None) -> tuple[Weights, None]:
            slope = jax.grad(loss_of_mixture)(point)
            moved = jax.tree.map(
                lambda near, at, up: near + jnp.clip(at + 2 * epsilon / steps * jnp.sign(up) - near, -epsilon, epsilon),
                centre,
                point,
                slope,
            )
            return _simplex(moved, centre), None

        point, _ = jax.lax.scan(ascend, _noisy(key, centre, epsilon), None, length=steps)
        raised = loss_of_mixture(point) > loss_of_mixture(centre)
        return jax.lax.stop_gradient(jax.tree.map(lambda new, old: jnp.where(raised, new, old), point, centre))

    return perturb


def _dense(mixture: Mixture) -> Weights:
    dense = {}
    for name, rows in mixture.items():
        if isinstance(rows, Paths):
            raise UserError(
                f"weights of {name!r}: expected those of all operations, got sampled paths; use a relaxation that "
                f"mixes all"
            )
        dense[name] = rows
    return dense


def _noisy(key: PRNGKey, centre: Weights, epsilon: Array | float) -> Weights:
    keys = jax.random.split(key, len(centre))
    moved = {
        name: rows + epsilon * jax.random.uniform(own, rows.shape, rows.dtype, -1.0, 1.0)
        for own, (name, rows) in zip(keys, centre.items(), strict=True)
    }
    return _simplex(moved, centre)


def _simplex(moved: Weights, centre: Weights) -> Weights:
    """Cut to [0, 1] and scale rows to sum 1; a row that vanishes goes back to its centre."""

    def own(rows: Array, fallback: Array) -> Array:
        cut = jnp.clip(rows, 0.0, 1.0)
        total = cut.sum(axis=-1, keepdims=True)
        return jnp.where(total > 0, cut / jnp.where(total > 0, total, 1.0), fallback)

    return {name: own(rows, centre[name]) for name, rows in moved.items()}
