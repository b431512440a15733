"""Counting a network's parameters and multiply-adds from shapes, without running it."""

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from dnas.nn.conv import Conv
from dnas.nn.depthwise import DepthwiseConv
from dnas.nn.pointwise import Pointwise
from dnas.types import Workload


def workload(module: nn.Module, shape: tuple[int, ...]) -> Workload:
    """Count `module`, called as `module(x, train=False)`, for an input of `shape` (H, W, C) and batch 1.

    Multiply-adds are those of convolutions and dense layers, as the literature counts them; batch norm, pools and
    additions are not counted. Evaluation mode, so an auxiliary head is not part of either number. Networks repeat a few
    modules at a few sizes: each is traced once, whatever the number of networks.
    """
    example = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    return _counted(module, Call.of((example,), {"train": False})).workload


class Call(NamedTuple):
    """The arguments of a module, arrays as their shapes; it can be hashed."""

    leaves: tuple[Any, ...]
    tree: Any

    @property
    def shapes(self) -> list[jax.ShapeDtypeStruct]:
        """The shapes of the arrays among the arguments."""
        return [leaf for leaf in self.leaves if is_shape(leaf)]

    def filled(self, arrays: Iterable[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with these arrays in the places of their shapes."""
        given = iter(arrays)
        args, kwargs = self.tree.unflatten(next(given) if is_shape(leaf) else leaf for leaf in self.leaves)
        return args, kwargs

    @staticmethod
    def of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> "Call":
        """Return the call with these arguments."""
        leaves, tree = jax.tree.flatten((args, kwargs))
        return Call(tuple(_outline(leaf) for leaf in leaves), tree)


class _Count(NamedTuple):
    """A module's workload and the shapes of what it returns."""

    workload: Workload
    output: Any


def _outline(leaf: Any) -> Any:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) if hasattr(leaf, "shape") else leaf


def is_shape(leaf: Any) -> bool:
    """Return whether an argument of a `Call` stands for an array."""
    return isinstance(leaf, jax.ShapeDtypeStruct)


@lru_cache(maxsize=2**14)
def _counted(module: nn.Module, call: Call) -> _Count:
    """Trace `module` alone; what its submodules cost and return is looked up."""
    params, macs, looking_up, called = 0, 0, False, set()

    def count(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
        nonlocal params, macs, looking_up
        layer = context.module
        # The interceptors of all modules that are being traced see a call.
        if looking_up or context.method_name != "__call__":
            return method(*args, **kwargs)
        if not isinstance(layer.parent, nn.Module):
            output = method(*args, **kwargs)
            macs += _layer(layer, args, output)
            return output
        looking_up = True
        own = _counted(layer.clone(parent=None, name=None), Call.of(args, kwargs))
        looking_up = False
        # A module that is called twice has its parameters once.
        params += 0 if layer.path in called else own.workload.params
        called.add(layer.path)
        macs += own.workload.macs
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), own.output)

    def run(*arrays: Any) -> Any:
        args, kwargs = call.filled(arrays)
        return module.init_with_output(jax.random.key(0), *args, **kwargs)

    with nn.intercept_methods(count):
        output, variables = jax.eval_shape(run, *call.shapes)
    params += sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables.get("params", {})))
    return _Count(Workload(params, macs), output)


def _layer(layer: nn.Module, args: tuple[Any, ...], output: Any) -> int:
    """Return the multiply-adds that a layer has of its own."""
    if isinstance(layer, nn.Dense | Pointwise):
        return math.prod(output.shape) * args[0].shape[-1]
    if isinstance(layer, nn.Conv):
        window = math.prod(layer.kernel_size if not isinstance(layer.kernel_size, int) else (layer.kernel_size,))
        return math.prod(output.shape) * window * args[0].shape[-1] // layer.feature_group_count
    if isinstance(layer, Conv):
        return math.prod(output.shape) * math.prod(layer.size) * args[0].shape[-1]
    if isinstance(layer, DepthwiseConv):
        return math.prod(output.shape) * layer.size**2
    return 0
