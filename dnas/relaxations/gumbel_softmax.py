"""The Gumbel-softmax of SNAS (Xie et al., arXiv:1812.09926; the distribution: arXiv:1611.00712, 1611.01144)."""

import jax

from dnas.relaxations._alpha import group_keys, normal, softmaxes
from dnas.relaxations._annealing import Annealed, temperature
from dnas.types import Alpha, Array, Mixture, PRNGKey, Relaxation, Spec, Weights


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

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, Annealed]:
        return normal(key, spec, scale, mean), course.init()

    def expected(alpha: Alpha, state: Annealed) -> Weights:
        del state
        return softmaxes(alpha)

    def weights(key: PRNGKey, alpha: Alpha, state: Annealed) -> Mixture:
        keys = group_keys(key, alpha)

        def draw(name: str, rows: Array) -> Array:
            return jax.nn.softmax((rows + jax.random.gumbel(keys[name], rows.shape)) / state.value, axis=-1)

        return {name: draw(name, rows) for name, rows in alpha.items()}

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Annealed) -> tuple[Alpha, Annealed]:
        del key, before
        return after, course.advance(state)

    return Relaxation(init, weights, expected, advance)
