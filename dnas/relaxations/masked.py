"""Any relaxation on a part of each edge's operations, for shrinking and splitting a supernet."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax.numpy as jnp
from jax.typing import ArrayLike

from dnas.errors import UserError, unknown
from dnas.relaxations._alpha import ABSENT
from dnas.relaxations._wrapped import outermost, replaced
from dnas.relaxations.softmax import softmax
from dnas.types import Alpha, Array, Mixture, Paths, PRNGKey, Relaxation, Spec, Weights


class Masked(NamedTuple):
    """What a masked relaxation carries.

    Attributes:
        inner: state of the wrapped relaxation.
        allowed: for each group, `(edges, ops)` bool. As part of the state it may be replaced between steps, and differ
            among states that run together under `vmap`.
    """

    inner: Any
    allowed: Mapping[str, Array]


def masked(relaxation: Relaxation | None = None, allowed: Mapping[str, ArrayLike] | None = None) -> Relaxation:
    """Return `relaxation` on the allowed operations only: the others weigh exactly 0, and so do their gradients.

    Within the wrapped relaxation the others have an `alpha` so low that they hold no share of a softmax and are never
    drawn, so that the allowed ones are normalised among themselves: P-DARTS (arXiv:1904.12760) drops operations that
    way, few-shot NAS (arXiv:2006.06863) and GM-NAS (arXiv:2203.15207) give each part of a split supernet its own. Their
    real entries of `alpha` are kept, and return when they are allowed again. An edge of which no operation is allowed
    weighs nothing.

    Args:
        relaxation: what gives the operation weights; `softmax()` if it is `None`.
        allowed: for each group, a `(edges, ops)` mask of the allowed operations; groups not named allow all.

    Raises:
        UserError: from `init`, for a mask of an unknown group or of another shape than its edges and operations.
    """
    inner = softmax() if relaxation is None else relaxation
    masks = {} if allowed is None else {name: jnp.asarray(mask, bool) for name, mask in allowed.items()}

    def init(key: PRNGKey, spec: Spec) -> tuple[Alpha, Masked]:
        for name, mask in masks.items():
            if name not in spec:
                raise unknown("group of a mask", name, spec)
            shape = (spec[name].edges, len(spec[name].ops))
            if mask.shape != shape:
                raise UserError(f"mask of {name!r}: expected shape {shape} (edges, operations), got {mask.shape}")
        alpha, state = inner.init(key, spec)
        whole = {name: jnp.ones((group.edges, len(group.ops)), bool) for name, group in spec.items()}
        return alpha, Masked(state, {**whole, **masks})

    def expected(alpha: Alpha, state: Masked) -> Weights:
        rows = inner.expected(_lowered(alpha, state), state.inner)
        return {name: jnp.where(state.allowed[name], rows[name], 0.0) for name in rows}

    def weights(key: PRNGKey, alpha: Alpha, state: Masked) -> Mixture:
        mixture = inner.weights(key, _lowered(alpha, state), state.inner)
        return {name: _cut(rows, state.allowed[name]) for name, rows in mixture.items()}

    def advance(key: PRNGKey, before: Alpha, after: Alpha, state: Masked) -> tuple[Alpha, Masked]:
        kept, inner_state = inner.advance(key, _lowered(before, state), _lowered(after, state), state.inner)
        alpha = {
            name: jnp.where(state.allowed[name], rows, after[name]) if name in state.allowed else rows
            for name, rows in kept.items()
        }
        return alpha, Masked(inner_state, state.allowed)

    return Relaxation(init, weights, expected, advance)


def offered(relaxation: Relaxation, spec: Spec) -> Relaxation:
    """Return `relaxation` on the operations that the edges of `spec` offer: itself where every edge offers all."""
    masks = {name: jnp.array(group.allowed) for name, group in spec.items() if group.allowed is not None}
    return masked(relaxation, masks) if masks else relaxation


def allowed(state: Any) -> Mapping[str, Array]:
    """Return the masks in the state of a masked relaxation, the outermost if there are several."""
    return outermost(state, Masked).allowed


def allow(state: Any, masks: Mapping[str, ArrayLike]) -> Any:
    """Return the state of a masked relaxation with other masks, in the outermost if there are several."""
    given = {name: jnp.asarray(mask, bool) for name, mask in masks.items()}
    return replaced(state, Masked, allowed=given)


def _lowered(alpha: Alpha, state: Masked) -> Alpha:
    return {
        name: jnp.where(state.allowed[name], rows, ABSENT) if name in state.allowed else rows
        for name, rows in alpha.items()
    }


def _cut(rows: Array | Paths, allowed: Array) -> Array | Paths:
    if isinstance(rows, Paths):
        return rows._replace(weights=jnp.where(allowed, rows.weights, 0.0))
    return jnp.where(allowed, rows, 0.0)
