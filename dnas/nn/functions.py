"""Flax Linen modules as the pure functions of a search space or a network."""

from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from dnas.nn.workload import workload
from dnas.types import Array, Network, Output, PRNGKey, Spec, Stats, Variables

DROP_PATH = "drop_path"
"""The random stream from which a network's drop path takes its keys."""

Init = Callable[[PRNGKey, Array], Variables]
Apply = Callable[..., tuple[Array, Stats]]


def supernet(module: nn.Module, spec: Spec) -> tuple[Init, Apply]:
    """Return `init` and `apply` of a `SearchSpace`.

    Args:
        module: called as `module(x, op_weights, train=...)`, with operation weights (edges, ops) by group.
        spec: the groups.
    """

    def init(key: PRNGKey, x: Array) -> Variables:
        shape_only = {name: jnp.zeros((group.edges, len(group.ops))) for name, group in spec.items()}
        return _variables(module.init(key, x, shape_only, train=False))

    def apply(variables: Variables, op_weights: Mapping[str, Array], x: Array, *, train: bool) -> tuple[Array, Stats]:
        if not train:
            return jnp.asarray(module.apply(_tree(variables), x, op_weights, train=False)), variables.stats
        logits, updated = module.apply(_tree(variables), x, op_weights, train=True, mutable=["batch_stats"])
        return logits, updated["batch_stats"]

    return init, apply


def network(module: nn.Module, check_shape: Callable[[tuple[int, ...]], None]) -> Network:
    """Return a `Network`.

    Args:
        module: called as `module(x, train=..., drop_path=...)`, returns an `Output`.
        check_shape: raises `UserError` for images (H, W, C) that the module cannot take.
    """

    def init(key: PRNGKey, x: Array) -> Variables:
        check_shape(x.shape[1:])
        key_params, key_drop = jax.random.split(key)
        return _variables(module.init({"params": key_params, DROP_PATH: key_drop}, x, train=True))

    def apply(
        variables: Variables, x: Array, *, train: bool, key: PRNGKey | None = None, drop_path: Array | float = 0.0
    ) -> tuple[Output, Stats]:
        if not train:
            return module.apply(_tree(variables), x, train=False), variables.stats  # type: ignore[return-value]
        rngs = {} if key is None else {DROP_PATH: key}
        output, updated = module.apply(
            _tree(variables), x, train=True, drop_path=drop_path, rngs=rngs, mutable=["batch_stats"]
        )
        return output, updated["batch_stats"]

    return Network(init, apply, lambda shape: workload(module, shape))


def _tree(variables: Variables) -> dict[str, Any]:
    return {"params": variables.params, "batch_stats": variables.stats}


def _variables(tree: Mapping[str, Any]) -> Variables:
    return Variables(tree["params"], tree.get("batch_stats", {}))
