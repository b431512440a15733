"""A Flax Linen module as a `Model`."""

import inspect
from functools import partial
from typing import Any

import flax.linen as nn
import jax
from flax.errors import FlaxError, InvalidRngError, ModifyScopeVariableError

from dnas.choices.context import under
from dnas.choices.finding import uniform
from dnas.choices.model import Model, refused
from dnas.errors import UserError, reason
from dnas.types import PRNGKey, Stats, Variables

TRAINING = {"train": True, "training": True, "is_training": True, "deterministic": False, "use_running_average": False}
"""By which argument a module is told that it is trained, and by which value."""
STREAMS = ("dropout", "default")
"""Random streams that a module may draw from in training."""


def linen(module: nn.Module, example: Any) -> Model:
    """Return a module, called as `module(x)` or `module(x, train=...)`, as a model.

    Raises:
        UserError: if it cannot take the example input.
    """
    flag = next((name for name in TRAINING if name in inspect.signature(module.__call__).parameters), None)

    def said(train: bool) -> dict[str, Any]:
        return {} if flag is None else {flag: TRAINING[flag] is train}

    def init(key: PRNGKey, x: Any) -> Variables:
        tree = dict(module.init(key, x, **said(False)))
        return Variables(tree.pop("params", {}), tree)

    def apply(variables: Variables, x: Any, train: bool, key: PRNGKey | None) -> tuple[Any, Stats]:
        tree = {"params": variables.params, **variables.stats}
        if not train or not variables.stats:
            return module.apply(tree, x, **said(train), rngs=_streams(train, key)), variables.stats
        outputs, stats = module.apply(
            tree, x, **said(train), rngs=_streams(train, key), mutable=sorted(variables.stats)
        )
        return outputs, {**variables.stats, **stats}

    return Model(type(module).__name__, init, apply, _draws(init, apply, example))


def _streams(train: bool, key: PRNGKey | None) -> dict[str, PRNGKey]:
    if not train or key is None:
        return {}
    return {name: jax.random.fold_in(key, index) for index, name in enumerate(STREAMS)}


def _draws(init: Any, apply: Any, example: Any) -> bool:
    """Return whether training needs random numbers; the model is traced, not run."""
    try:
        variables = jax.eval_shape(under(uniform, init), jax.random.key(0), example)
    except (ArithmeticError, LookupError, TypeError, ValueError, FlaxError) as error:
        raise refused(example, error) from error
    try:
        jax.eval_shape(under(uniform, partial(apply, train=False, key=None)), variables, example)
    except ModifyScopeVariableError as error:
        raise UserError(
            f"the model changes its statistics when it is evaluated ({reason(error)}): give it an argument 'train' "
            f"and pass it on, as in nn.BatchNorm(use_running_average=not train)"
        ) from error
    except InvalidRngError as error:
        raise UserError(
            f"the model draws at random when it is evaluated ({reason(error)}): give it an argument 'train' and pass "
            f"it on, as in nn.Dropout(0.5, deterministic=not train)"
        ) from error
    try:
        jax.eval_shape(under(uniform, partial(apply, train=True, key=None)), variables, example)
    except InvalidRngError:
        return True
    return False
