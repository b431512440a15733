"""Whether derived networks compute what the supernet does: a check by numbers, for a user's own model."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas.choices.derived import genotype_of
from dnas.errors import UserError
from dnas.selection.one_hot import one_hot
from dnas.types import PRNGKey, SearchSpace, Variables

Options = Mapping[str, str]


def verify(
    space: SearchSpace, x: Any, *, networks: int = 4, tolerance: float = 1e-3, key: PRNGKey | None = None
) -> float:
    """Hold derived networks with inherited weights against the supernet that computes them alone.

    They are equal by construction, but for what a model computes between its layers: with a width to choose, the
    supernet's other channels are zeros, and a cosine or a mean of channels makes something of them. The model is run:
    with the first option of each choice, with each other option alone, and with options at random; all weights and
    statistics are moved away from where they begin, so that no bias is zero.

    Args:
        space: of a model with open choices (`dnas.space`).
        x: inputs, as the model takes them.
        networks: how many networks with options at random are looked at.
        tolerance: largest difference that passes, relative to the largest output.
        key: for weights and options; `None`: `jax.random.key(0)`.

    Returns:
        The largest relative difference.

    Raises:
        UserError: if a network differs, with the choices but for which it would not.
    """
    key = jax.random.key(0) if key is None else key
    variables = jax.jit(lambda key: _moved(key, space.init(key, x)))(key)
    mixed = jax.jit(lambda mixture: space.apply(variables, mixture, x, train=False)[0])

    def difference(options: Options) -> float:
        genotype = genotype_of(space.name, options)
        whole = mixed(one_hot(space.spec, genotype))
        own = space.build(genotype).apply(space.inherit(genotype, variables), x, train=False)[0].logits
        pairs = zip(jax.tree.leaves(whole), jax.tree.leaves(own), strict=True)
        return max(float(jnp.abs(a - b).max() / (jnp.abs(a).max() + 1e-6)) for a, b in pairs)

    first = {name: group.ops[0] for name, group in space.spec.items()}
    tried = [first] + [{**first, name: op} for name, group in space.spec.items() for op in group.ops[1:]]
    rng = np.random.default_rng(np.asarray(jax.random.key_data(key)).astype(np.uint32))
    tried += [{name: str(rng.choice(group.ops)) for name, group in space.spec.items()} for _ in range(networks)]
    worst = 0.0
    for options in tried:
        worst = max(worst, own := difference(options))
        if not own <= tolerance:
            cured = [
                f"{name}={options[name]}"
                for name, group in space.spec.items()
                if any(difference({**options, name: op}) <= tolerance for op in group.ops if op != options[name])
            ]
            raise UserError(
                f"the derived network with {', '.join(cured or map('='.join, options.items()))} differs from the "
                f"supernet by {own:.1e} of the largest output: look for what makes something of channels that are "
                f"zero, or depends on their number, after this choice"
            )
    return worst


def _moved(key: PRNGKey, variables: Variables) -> Variables:
    """Return variables of the same kind, none of which has the value that it begins with."""
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(key, len(leaves))
    moved = [
        # Variances stay above zero.
        leaf + 0.1 * jnp.abs(jax.random.normal(own, leaf.shape, leaf.dtype))
        if jnp.issubdtype(leaf.dtype, jnp.floating)
        else leaf
        for own, leaf in zip(keys, leaves, strict=True)
    ]
    found: Variables = jax.tree.unflatten(tree, moved)
    return found
