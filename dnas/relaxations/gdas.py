"""The sampled paths of GDAS: Gumbel-softmax with a straight-through gradient (Dong and Yang, arXiv:1910.04465)."""

import jax
import jax.numpy as jnp

from dnas.relaxations._alpha import group_keys, normal, softmaxes
from dnas.relaxations._annealing import Annealed, temperature
from dnas.relaxations._paths import one_path
from dnas.types import Alpha, Array, Mixture, Paths, PRNGKey, Relaxation, Spec, Weights


def gdas(start: float = 10.0, end: float = 0.1, steps: int = 97_750, scale: float = 1e-3) -> Relaxation:
    """Return the relaxation that computes one operation an edge, drawn with probability softmax(alpha).

    With p = softmax((log softmax(alpha) + G) / temperature) and Gumbel noise G, the weights are the one-hot of p's
    largest entry, and their derivative is that of p. Formula and temperatures are those of the authors' code
    (AutoDL-Projects, `search_model_gdas*.py`); JAX's Gumbel noise is finite, so that nothing is drawn again.

    One draw serves all cells of a group. A supernet computes the active operation only: the gradient of its weight is
    <dL/dy, op(x)>, and inactive columns have gradient zero. (In the authors' code an inactive column is added to the
    output as a scalar of value zero, and so has the sum of dL/dy for a gradient; that is left out here.) The gradient
    still reaches every entry of `alpha`, through p.

    Args:
        start: temperature of the first step.
        end: temperature after `steps` steps.
        steps: steps over which it falls linearly; 250 epochs of 391 by default.
        scale: standard deviation of the normal distribution that `alpha` starts from.

    Raises:
        UserError: for a temperature that is not positive, or fewer than one step.
    """
    course = temperature(start, end, steps)

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, Annealed]:
        return normal(key, spec, scale), course.init()

    def expected(alpha: Alpha, state: Annealed) -> Weights:
        del state
        return softmaxes(alpha)

    def weights(key: PRNGKey, alpha: Alpha, state: Annealed) -> Mixture:
        keys = group_keys(key, alpha)
        return {name: _draw(keys[name], rows, state.value) for name, rows in alpha.items()}

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Annealed) -> tuple[Alpha, Annealed]:
        del key, before
        return after, course.advance(state)

    return Relaxation(init, weights, expected, advance)


def _draw(key: PRNGKey, rows: Array, heat: Array) -> Paths:
    noisy = jax.nn.log_softmax(rows, axis=-1) + jax.random.gumbel(key, rows.shape)
    return one_path(jnp.argmax(noisy, axis=-1), jax.nn.softmax(noisy / heat, axis=-1))
