"""The sampled paths of GDAS: Gumbel-softmax with a straight-through gradient (Dong and Yang, arXiv:1910.04465)."""

from functools import partial

import jax
import jax.numpy as jnp

from dnas.relaxations._alpha import normal
from dnas.relaxations._annealing import Annealed, temperature
from dnas.relaxations._by_rows import by_rows
from dnas.relaxations._paths import one_path
from dnas.types import Array, Paths, PRNGKey, Relaxation


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
    return by_rows(partial(normal, scale=scale), draw=_draw, course=temperature(start, end, steps))


def _draw(key: PRNGKey, rows: Array, heat: Annealed) -> Paths:
    noisy = jax.nn.log_softmax(rows, axis=-1) + jax.random.gumbel(key, rows.shape)
    return one_path(jnp.argmax(noisy, axis=-1), jax.nn.softmax(noisy / heat.value, axis=-1))
