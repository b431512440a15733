"""What an architecture is expected to cost while it is still a mixture: of what is mixed, or of what would be kept."""

import jax
import jax.numpy as jnp

from dnas.costs import CostTable, can_be_kept
from dnas.regularisers.resources import expected_cost
from dnas.types import Array, Group, Spec, Weights

TINY = 1e-12


def mixed(table: CostTable, weights: Weights) -> Array:
    """Return the cost of the mixture: every operation counts by its weight, on every edge.

    This is the expectation of ProxylessNAS and FBNet (arXiv:1812.00332, 1812.03443). Where edges compete, the derived
    network costs less, since most edges are not kept.
    """
    return table.base + expected_cost(weights, table.rows)


def kept(table: CostTable, spec: Spec, weights: Weights) -> Array:
    """Return the expected cost of the networks that would be derived now.

    The edges are those that the strongest operations choose; on each, an operation is drawn with the probability that
    its weight has among those that can be kept. With one-hot weights this is the cost of that architecture. The
    gradient moves the operations, not the choice of edges, which changes where the weights do.
    """
    return mixed(table, chances(spec, weights))


def chances(spec: Spec, weights: Weights) -> Weights:
    """Return the probability `(edges, ops)` that each operation is part of the network that would be derived now."""
    found = {}
    for name, group in spec.items():
        can = jnp.asarray(can_be_kept(group))
        rows = jnp.where(can, jnp.maximum(weights[name], 0.0), 0.0)
        even = can / can.sum(axis=-1, keepdims=True)
        total = rows.sum(axis=-1, keepdims=True)
        shares = jnp.where(total > TINY, rows / jnp.maximum(total, TINY), even)
        strength = jax.lax.stop_gradient(jnp.where(can, weights[name], -jnp.inf).max(axis=-1))
        found[name] = shares * stays(group, strength)[:, None]
    return found


def derived(spec: Spec, weights: Weights) -> Weights:
    """Return which operations the network has that would be derived now, 1 or 0; its gradient is that of `chances`.

    Weights on their way are soft: where every operation still has some, an expected cost at a limit says little about
    the network of the strongest, which may cost a fraction of it. Held to this, a search stops paying when the network
    itself is within the limit (straight-through, as in Bengio et al., arXiv:1308.3432; its use here is this library's).
    """
    soft, found = chances(spec, weights), {}
    for name, group in spec.items():
        best = jnp.where(jnp.asarray(can_be_kept(group)), weights[name], -jnp.inf)
        strongest = jax.nn.one_hot(jnp.argmax(best, axis=-1), len(group.ops)) * stays(group, best.max(axis=-1))[:, None]
        found[name] = soft[name] + jax.lax.stop_gradient(strongest - soft[name])
    return found


def stays(group: Group, strength: Array) -> Array:
    """Return `(edges,)`, 1 for the edges that are kept when the best operation of each edge weighs `strength`."""
    if group.path:
        return _on_best_path(group, strength)
    if group.keep is None:
        return jnp.ones(group.edges)
    found = jnp.zeros(group.edges)
    for incoming in group.nodes:
        edges = jnp.array([edge for edge, _ in incoming])
        # A stable order, so that of equal edges the one that is listed first is kept.
        best = jnp.argsort(-strength[edges], stable=True)[: group.keep]
        found = found.at[edges[best]].set(1.0)
    return found


def _on_best_path(group: Group, strength: Array) -> Array:
    """Return which edges lie on the path of greatest total strength (`dnas.selection.best_path`)."""
    inputs = group.concat[0] + 1 - len(group.nodes)
    totals = [jnp.zeros(())] * inputs
    choices: list[Array] = []
    for incoming in group.nodes:
        lengths = jnp.stack([totals[source] + strength[edge] for edge, source in incoming])
        choices.append(jnp.argmax(lengths))
        totals.append(lengths.max())
    reached: list[Array] = [jnp.zeros(())] * len(totals)
    reached[group.concat[0]] = jnp.ones(())
    found = jnp.zeros(group.edges)
    for node in reversed(range(len(group.nodes))):
        for index, (edge, source) in enumerate(group.nodes[node]):
            taken = reached[inputs + node] * (choices[node] == index)
            found = found.at[edge].set(taken)
            reached[source] = reached[source] + taken
    return found
