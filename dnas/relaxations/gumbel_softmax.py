"""The Gumbel-softmax of SNAS (Xie et al., arXiv:1812.09926; the distribution: arXiv:1611.00712, 1611.01144)."""

from functools import partial

import jax

from dnas.relaxations._alpha import normal
from dnas.relaxations._annealing import Annealed, temperature
from dnas.relaxations._by_rows import by_rows
from dnas.types import Array, PRNGKey, Relaxation


def gumbel_softmax(
    start: float = 1.0,
    end: float = 0.03,
    steps: int = 117_300,
    schedule: str = "linear",
    mean: float = 1.0,
    scale: float = 0.01,
) -> Relaxation:
    """Return the relaxation whose weights are softmax((alpha + G) / temperature) with Gumbel noise G.

    Every operation is computed. As the temperature falls, the weights come to lie at a corner of the simplex, which is
    operation k with probability softmax(alpha)_k at every temperature; that is what `expected` gives.

    Temperatures and starting values are those of the authors' code (SNAS-Series, `train_search.py`), whose temperature
    falls linearly over its 150 epochs.

    Args:
        start: temperature of the first step.
        end: temperature after `steps` steps.
        steps: steps over which it falls; 150 epochs of 782 by default.
        schedule: "linear", "cosine" or "exponential".
        mean: mean of the normal distribution that `alpha` starts from; it matters to weight decay only.
        scale: its standard deviation.

    Raises:
        UserError: for a temperature that is not positive, an unknown schedule, or fewer than one step.
    """
    course = temperature(start, end, steps, schedule)
    return by_rows(partial(normal, scale=scale, mean=mean), draw=_draw, course=course)


def _draw(key: PRNGKey, rows: Array, heat: Annealed) -> Array:
    return jax.nn.softmax((rows + jax.random.gumbel(key, rows.shape)) / heat.value, axis=-1)
