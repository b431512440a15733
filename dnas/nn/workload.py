"""What a network consists of, from shapes, without running it: parameters, multiply-adds, and calls of operations."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from dnas.choices.context import decided
from dnas.nn.base import Norm, Operation
from dnas.nn.conv import Conv
from dnas.nn.depthwise import DepthwiseConv
from dnas.nn.ends import Head, Stem
from dnas.nn.pointwise import Pointwise
from dnas.types import Array, Network, Variables, Workload

WHOLE = (Operation, Norm, Stem, Head)
"""Modules that are taken as one operation, whatever they consist of."""


def workload(module: nn.Module, shape: tuple[int, ...]) -> Workload:
    """Count `module`, called as `module(x, train=False)`, for an input of `shape` (H, W, C) and batch 1.

    Multiply-adds are those of convolutions and dense layers, as the literature counts them; batch norm, pools and
    additions are not counted. Evaluation mode, so an auxiliary head is not part of either number. Networks repeat a few
    modules at a few sizes: each is traced once, whatever the number of networks.
    """
    example = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    return _counted(Call.of(module, (example,), {"train": False})).workload


class Call(NamedTuple):
    """A module that belongs to no other, and its arguments, arrays as their shapes; it can be hashed.

    Attributes:
        module: the module.
        leaves: `jax.ShapeDtypeStruct` for arrays, other arguments as they are.
        tree: the structure of positional and keyword arguments.
    """

    module: nn.Module
    leaves: tuple[Any, ...]
    tree: Any

    @staticmethod
    def of(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> "Call":
        """Return the call `module(*args, **kwargs)`."""
        leaves, tree = jax.tree.flatten((args, kwargs))
        return Call(module.clone(parent=None, name=None), tuple(_outline(leaf) for leaf in leaves), tree)

    @property
    def arrays(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """The shapes of the arguments that are arrays, in their order."""
        return tuple(leaf for leaf in self.leaves if _is_shape(leaf))

    def given(self, arrays: Sequence[Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return positional and keyword arguments with these arrays in their places."""
        rest = iter(arrays)
        found: tuple[tuple[Any, ...], dict[str, Any]] = self.tree.unflatten(
            next(rest) if _is_shape(leaf) else leaf for leaf in self.leaves
        )
        return found


def calls(network: Network, x: jax.ShapeDtypeStruct) -> Mapping[Call, int]:
    """Return which operations a network calls in evaluation on an input like `x`, and how often.

    An operation is a module of `WHOLE`, or one with parameters of its own that calls no other; additions and functions
    that are no modules are not found. Empty for a network that is made of no Flax modules, or of modules with open
    choices (`dnas.choices`), which do not say by themselves what they compute.
    """
    found: Counter[Call] = Counter()
    looking_up = False

    def note(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
        nonlocal looking_up
        if looking_up or context.method_name != "__call__":
            return method(*args, **kwargs)
        if decided():
            raise _Decided
        looking_up = True
        own = _counted(Call.of(context.module, args, kwargs))
        looking_up = False
        found.update(own.calls)
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), own.output)

    def run(array: Array) -> Any:
        return network.apply(Variables({}, {}), array, train=False)[0]

    with nn.intercept_methods(note), suppress(_Decided):
        jax.eval_shape(run, x)
    return found


class _Decided(Exception):
    """A module was called whose choices are made by someone else."""


def work(call: Call) -> Workload:
    """Count what one call takes, for the batch that it is given."""
    return _counted(call).workload


def output(call: Call) -> Any:
    """Return the shapes of what a call returns."""
    return _counted(call).output


class _Count(NamedTuple):
    """A module's workload, the shapes of what it returns, and the operations that it calls, or is."""

    workload: Workload
    output: Any
    calls: Mapping[Call, int]


def _outline(leaf: Any) -> Any:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) if hasattr(leaf, "shape") else leaf


def _is_shape(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)


@lru_cache(maxsize=2**14)
def _counted(call: Call) -> _Count:
    """Trace a module alone; what its submodules cost and return is looked up."""
    params, macs, looking_up, called = 0, 0, False, set()
    inside: Counter[Call] = Counter()

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
        own = _counted(Call.of(layer, args, kwargs))
        looking_up = False
        # A module that is called twice has its parameters once.
        params += 0 if layer.path in called else own.workload.params
        called.add(layer.path)
        macs += own.workload.macs
        inside.update(own.calls)
        return jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), own.output)

    def run(*arrays: Any) -> Any:
        args, kwargs = call.given(arrays)
        return call.module.init_with_output(jax.random.key(0), *args, **kwargs)

    with nn.intercept_methods(count):
        output, variables = jax.eval_shape(run, *call.arrays)
    own = jax.tree.leaves(variables.get("params", {}))
    params += sum(math.prod(leaf.shape) for leaf in own)
    whole = isinstance(call.module, WHOLE) or (bool(own) and not called)
    return _Count(Workload(params, macs), output, {call: 1} if whole else inside)


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
