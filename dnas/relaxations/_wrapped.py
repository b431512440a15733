"""The state of one relaxation within the states of those that wrap it."""

from typing import Any, TypeVar

import jax

State = TypeVar("State")


def outermost(state: Any, kind: type[State]) -> State:
    """Return the first state of a kind, from the outside."""
    return next(part for part in jax.tree.leaves(state, is_leaf=_is(kind)) if isinstance(part, kind))


def replaced(state: Any, kind: type[Any], **fields: Any) -> Any:
    """Return `state` with new fields in the states of a kind; those within one of the kind stay as they are."""
    return jax.tree.map(
        lambda part: part._replace(**fields) if isinstance(part, kind) else part, state, is_leaf=_is(kind)
    )


def _is(kind: type[Any]) -> Any:
    return lambda part: isinstance(part, kind)
