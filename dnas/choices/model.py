"""A user's model as two pure functions, whichever library it is written with."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dnas.choices.inherit import Kept
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
        norms: paths of the layers that divide out what they are multiplied by, where `init` returns all variables at
            full size whatever is decided; `None` where the layers make them as large as decided.
        kept: `(choices) -> slices` of each variable, by path, that these options of decisions keep, where the model
            says so; else the shapes do.
    """

    name: str
    init: Callable[[PRNGKey, Any], Variables]
    apply: Callable[[Variables, Any, bool, PRNGKey | None], tuple[Any, Stats]]
    draws: bool
    norms: frozenset[tuple[str, ...]] | None = None
    kept: Callable[[Mapping[str, int]], Kept] | None = None


def refused(example: Any, error: Exception) -> UserError:
    """Return the error for a model that raised `error` when it was called with the example input."""
    if isinstance(error, UserError):
        return error
    return UserError(
        f"the model cannot take the example input of shape {shapes(example)} ({reason(error)}): give one as the model "
        f"is called with, the batch first"
    )
