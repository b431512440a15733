"""A model with open choices as a search space."""

from collections.abc import Hashable
from functools import lru_cache
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from dnas.choices.context import Decision, Verdict, under
from dnas.choices.derived import Derived, chosen, derive, one
from dnas.choices.finding import find, uniform
from dnas.choices.inherit import flat, inherited
from dnas.choices.linen import linen
from dnas.choices.model import Model
from dnas.choices.narrow import narrowed
from dnas.choices.widths import followed
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.types import Array, Group, Mixture, Network, Paths, PRNGKey, SearchSpace, Stats, Task, Variables

KEY = "dnas_key"
"""The entry of a supernet's statistics from which what it draws in training comes."""


def space(module: Any, example_input: Any, *, task: Task | None = None, name: str | None = None) -> SearchSpace:
    """Return the search space of a model with open choices.

    Every `Choice`, `InputChoice`, `Repeat` and entangled layer of the model becomes a group of one edge, whose
    operations are its options. The model is traced, and nothing is computed.

    Args:
        module: a Flax Linen module, called as `module(x)`, or as `module(x, train=...)` where it has an argument
            `train`, `training`, `is_training`, `deterministic` or `use_running_average`; or, for Flax NNX, a function
            of `rngs` that returns a module, or a module, which begins with the values that it holds. An NNX module is
            told by `train()` and `eval()` too whether it is trained.
        example_input: what the model is called with, arrays or a pytree of them, the batch first; only shapes and
            types are used.
        task: what the outputs are for; `None`: classification, one label for each row of logits.
        name: the space's name; `None`: the module's class.

    Raises:
        UserError: if the model has no choice, different choices under one name, options that return different shapes,
            a choice in a loop without a name, or cannot take the example input.
    """
    example = one(example_input)
    model = _model(module, example)
    decisions = _find(model, example)
    _find_in_training(model, decisions, example)
    if model.norms is None:
        open_model = followed(model, decisions, example)
    else:
        model = open_model = narrowed(model, example)

    @lru_cache(maxsize=1024)
    def derived(genotype: Genotype) -> Derived:
        return derive(model, chosen(decisions, genotype), example)

    def build(genotype: Genotype) -> Network:
        return derived(genotype).network(example)

    def inherit(genotype: Genotype, variables: Variables) -> Variables:
        own = derived(genotype)
        return inherited(flat(variables), own.needed, own.cuts)

    def check(shape: tuple[int, ...]) -> None:
        if hasattr(example, "shape") and tuple(shape) != example.shape[1:]:
            raise UserError(
                f"inputs of shape {tuple(shape)}: the space was made with an example of shape {example.shape[1:]}, the "
                f"batch left out: make it with an example of the data's shape, which a function of the command line "
                f"gets as its argument 'shape'"
            )

    @lru_cache(maxsize=1024)
    def content(genotype: Genotype) -> Hashable:
        return derived(genotype).content(example)

    spec = {decision.name: _group(decision) for decision in decisions}
    init, apply = _supernet(open_model)
    return SearchSpace(
        name or model.name, spec, init, apply, build, inherit, check, task=task, by_name=False, content=content
    )


def _find(model: Model, example: Any) -> tuple[Decision, ...]:
    def run(key: PRNGKey, x: Any) -> Any:
        # An NNX module decides nothing before it is called.
        return model.apply(model.init(key, x), x, False, None)

    return find(run, jax.random.key(0), example).decisions


def _find_in_training(model: Model, decisions: tuple[Decision, ...], example: Any) -> None:
    def run(variables: Variables, x: Any) -> Any:
        return model.apply(variables, x, True, jax.random.key(0))

    known = {decision.name for decision in decisions}
    late = [each.name for each in find(run, _outline(model, example), example).decisions if each.name not in known]
    if late:
        raise UserError(
            f"choice {late[0]!r} is met in training only, so that no derived network would have it: let the model come "
            f"to it in evaluation as well"
        )


def _model(module: Any, example: Any) -> Model:
    if isinstance(module, nn.Module):
        return linen(module, example)
    if callable(module) and not (isinstance(module, type) and issubclass(module, nn.Module)):
        # Only who uses NNX waits for its import.
        from dnas.choices.nnx_model import nnx_model

        return nnx_model(module, example)
    raise UserError(
        f"dnas.space: expected a Flax Linen module, or an NNX module or a function of rngs that makes one, got "
        f"{getattr(module, '__name__', type(module).__name__)}: give an instance"
    )


def _group(decision: Decision) -> Group:
    return Group(edges=1, ops=decision.options, nodes=(((0, 0),),), concat=(1,))


def _outline(model: Model, example: Any) -> Variables:
    found: Variables = jax.eval_shape(under(uniform, model.init), jax.random.key(0), example)
    return found


def _supernet(model: Model) -> tuple[Any, Any]:
    """Return `init` and `apply` of the model with all choices open."""

    def init(key: PRNGKey, x: Any) -> Variables:
        variables = under(uniform, model.init)(key, x)
        if not model.draws:
            return variables
        return variables._replace(stats={**variables.stats, KEY: jax.random.key_data(jax.random.fold_in(key, 1))})

    def apply(variables: Variables, mixture: Mixture, x: Any, *, train: bool) -> tuple[Any, Stats]:
        stats = dict(variables.stats)
        state = stats.pop(KEY, None)
        key = after = None
        if train and state is not None:
            after, key = jax.random.split(jax.random.wrap_key_data(state))
        mixed = under(lambda decision: _row(mixture[decision.name]), model.apply)
        outputs, stats = mixed(Variables(variables.params, stats), x, train, key)
        if state is not None:
            stats = {**stats, KEY: state if after is None else jax.random.key_data(after)}
        return outputs, stats

    return init, apply


def _row(rows: Array | Paths) -> Verdict:
    if isinstance(rows, Paths):
        return Paths(jnp.asarray(rows.weights)[0], jnp.asarray(rows.active)[0])
    return jnp.asarray(rows)[0]
