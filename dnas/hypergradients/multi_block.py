"""Multi-block stochastic bilevel optimisation with variance reduction (Hu et al., arXiv:2305.18730).

The paper has m lower problems, of which a step samples I. Here the lower problems, or blocks, are the top-level entries
of the weights: the cells of a supernet, or tasks that have an entry each. Only the paper's abstract could be read; the
updates are recalled, of its variant that tracks Hessian-vector products.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from dnas.errors import UserError
from dnas.hypergradients._levels import add, inner_gradient, norm, not_negative, outer_gradients, positive
from dnas.types import Alpha, Array, Batches, Bilevel, Estimate, Evaluation, Hypergradient, Lower, Params, PRNGKey


def multi_block(
    sampled: int = 0,
    rate: float = 0.1,
    damping: float = 1.0,
    radius: float = 10.0,
    tracking: float = 0.1,
    outer_tracking: float = 0.1,
) -> Hypergradient:
    """Return the hypergradient of one linear system for all steps: each step moves its solution a little.

    With H, M, v and d as for `conjugate_gradient`, z is a running solution of (H + damping I) z = v. A step evaluates
    u = (H + damping I) z - v and G = d - M^T z with its minibatches twice, at the present weights, `alpha` and z and at
    the previous ones (marked '), and then

    - for each sampled block i (MSVR, arXiv:2207.08540): s_i <- (1 - a) s_i + a u_i + b (u_i - u'_i) with
      b = (m - I) / (I (1 - a)) + 1 - a, and z_i <- z_i - rate * s_i, brought back to norm `radius` if it is longer;
    - the estimate (STORM, arXiv:1905.10018): g <- G + (1 - c) (g - G').

    So minibatch noise averages out over about 1 / c steps, while the drift of what is estimated is followed without
    lag. The first estimate is the first-order one. Once weights and `alpha` stand still, g tends to d - M^T z with z
    the solution, its bias then being that of the damping; noise of the minibatches leaves a variance of order c.

    Two departures from the paper: all blocks contribute to G, since one pass through a supernet gives all of them; and
    the weights themselves are moved by their own optimiser, without a tracker.

    The state holds the weights four times over, and a step takes two evaluations of everything.

    Args:
        sampled: I, the blocks sampled in a step; 0 takes all.
        rate: step size for z; it must be below 2 / (largest eigenvalue of H + damping).
        damping: added to the Hessian's eigenvalues.
        radius: largest norm of a block of z, which bounds it where H + damping is not positive definite.
        tracking: a, between 0 and 1, the share of the present minibatch in s.
        outer_tracking: c, between 0 and 1, the share of the present minibatch in the estimate.

    Raises:
        UserError: if an argument is out of its range, or there are fewer blocks than are to be sampled.
    """
    not_negative(sampled=sampled, damping=damping)
    positive(rate=rate, radius=radius)
    _shares(tracking=tracking, outer_tracking=outer_tracking)

    def init(params: Params, alpha: Alpha) -> _Memory:
        _blocks(params, sampled)

        def zeros(tree: Any) -> Any:
            return jax.tree.map(jnp.zeros_like, tree)

        point = _Point(zeros(params), zeros(dict(alpha)), zeros(params))
        return _Memory(jnp.zeros((), jnp.int32), point, zeros(params), zeros(params), zeros(dict(alpha)))

    def estimate(
        key: PRNGKey, problem: Bilevel, lower: Lower, alpha: Alpha, state: Any, batches: Batches
    ) -> tuple[Estimate, Any]:
        def evaluate(at: _Point) -> _Seen:
            (loss, evaluation), (slope, direct) = outer_gradients(
                key, problem, at.params, at.alpha, lower.stats, batches.valid
            )
            _, pullback = jax.vjp(inner_gradient(key, problem, lower, batches), at.params, at.alpha)
            product, mixed = pullback(at.solution)
            unsolved = add(add(product, at.solution, damping), slope, -1.0)
            return _Seen(unsolved, add(direct, mixed, -1.0), loss, evaluation)

        here = _Point(lower.params, dict(alpha), state.solution)
        # A loop over both points, so that the program holds the passes through the supernet once.
        both = lax.map(evaluate, jax.tree.map(lambda *leaves: jnp.stack(leaves), state.before, here))
        before, now = (jax.tree.map(lambda leaf, side=side: leaf[side], both) for side in (0, 1))

        first = state.steps == 0
        blocks = _blocks(lower.params, sampled)
        chosen = blocks.choose(jax.random.fold_in(key, _DRAW))
        tracker = blocks.track(chosen, tracking, state.tracker, now.unsolved, before.unsolved)
        tracker = _where(first, now.unsolved, tracker)
        solution = blocks.descend(chosen, rate, radius, state.solution, tracker)
        followed = add(now.grads, add(state.grads, before.grads, -1.0), 1.0 - outer_tracking)
        grads = _where(first, now.grads, followed)
        return Estimate(grads, now.loss, now.evaluation), _Memory(state.steps + 1, here, solution, tracker, grads)

    return Hypergradient(init, estimate, second_order=True)


_DRAW = 0x626C6B
"""Sets the draw of blocks apart from the draws of a relaxation, which are made with the same key."""


class _Point(NamedTuple):
    """Where the two levels and the linear system stand."""

    params: Params
    alpha: Alpha
    solution: Params


class _Seen(NamedTuple):
    """What one minibatch shows of a point."""

    unsolved: Params
    grads: Alpha
    loss: Array
    evaluation: Evaluation


class _Memory(NamedTuple):
    """The estimate's state: the previous point, and z, s and g of the docstring."""

    steps: Array
    before: _Point
    solution: Params
    tracker: Params
    grads: Alpha


class _Blocks(NamedTuple):
    """Which block each leaf of the weights belongs to, out of `total`, of which `sampled` are drawn."""

    of_leaf: tuple[int, ...]
    total: int
    sampled: int

    def choose(self, key: PRNGKey) -> Array:
        """Return which blocks are sampled, `(total,)` bool."""
        return jax.random.permutation(key, self.total) < self.sampled

    def track(self, chosen: Array, share: float, tracker: Params, now: Params, before: Params) -> Params:
        """Move the sampled blocks of the tracker (MSVR)."""
        unseen = self.total - self.sampled
        weight = unseen / (self.sampled * (1.0 - share)) + 1.0 - share
        moved = jax.tree.map(lambda s, u, old: (1.0 - share) * s + share * u + weight * (u - old), tracker, now, before)
        return self._where(chosen, moved, tracker)

    def descend(self, chosen: Array, rate: float, radius: float, solution: Params, tracker: Params) -> Params:
        """Move the sampled blocks of the solution, and bring those that are too long back to `radius`."""
        leaves, structure = jax.tree.flatten(add(solution, tracker, -rate))
        groups = [[leaf for leaf, own in zip(leaves, self.of_leaf, strict=True) if own == b] for b in range(self.total)]
        scales = [jnp.minimum(1.0, radius / jnp.maximum(norm(group), 1e-30)) for group in groups]
        short = [leaf * scales[own].astype(leaf.dtype) for leaf, own in zip(leaves, self.of_leaf, strict=True)]
        return self._where(chosen, jax.tree.unflatten(structure, short), solution)

    def _where(self, chosen: Array, new: Params, old: Params) -> Params:
        leaves, structure = jax.tree.flatten(new)
        kept = zip(self.of_leaf, leaves, jax.tree.leaves(old), strict=True)
        return jax.tree.unflatten(structure, [jnp.where(chosen[own], a, b) for own, a, b in kept])


def _blocks(params: Params, sampled: int) -> _Blocks:
    paths = [str(path[:1]) for path, _ in jax.tree_util.tree_flatten_with_path(params)[0]]
    names = list(dict.fromkeys(paths))
    if sampled > len(names):
        raise UserError(f"sampled is {sampled}, but the weights have {len(names)} blocks: choose at most that many")
    return _Blocks(tuple(names.index(path) for path in paths), len(names), sampled or len(names))


def _shares(**values: float) -> None:
    for name, value in values.items():
        if not 0 < value < 1:
            raise UserError(f"{name} is {value}: choose a share between 0 and 1, both excluded")


def _where(condition: Array, first: Any, second: Any) -> Any:
    return jax.tree.map(lambda a, b: jnp.where(condition, a, b), first, second)
