"""A user's model as two pure functions, whichever library it is written with."""

from collections.abc import Callable
from typing import Any, NamedTuple

from dnas.choices.mixing import shapes
from dnas.errors import UserError, reason
from dnas.types import PRNGKey, Stats, Variables


class Model(NamedTuple):
    """A model with open choices; each call is answered by the decider that is set around it.

    Attributes:
        name: what a space of it is called.
        init: `(key, x) -> Variables`; of `x` only shapes and types are used.
        apply: `(variables, x, train, key) -> (outputs, Stats)`; the key is used in training, where the model draws.
        draws: whether training draws at random, as dropout does.
    """

    name: str
    init: Callable[[PRNGKey, Any], Variables]
    apply: Callable[[Variables, Any, bool, PRNGKey | None], tuple[Any, Stats]]
    draws: bool


def refused(example: Any, error: Exception) -> UserError:
    """Return the error for a model that raised `error` when it was called with the example input."""
    if isinstance(error, UserError):
        return error
    return UserError(
        f"the model cannot take the example input of shape {shapes(example)} ({reason(error)}): give one as the model "
        f"is called with, the batch first"
    )
