"""Traced programs of networks in evaluation mode, module by module.

A network repeats a few modules at a few sizes. Each is traced once, alone; where another module calls it, its program
stands as a single equation, whose primitive is `part`.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.extend import core

from dnas.choices.context import decided
from dnas.nn.workload import Call
from dnas.types import Network, Variables


class Traced(NamedTuple):
    """A module's program: of the arrays among its arguments, its parameters made within.

    Attributes:
        jaxpr: the program; calls of submodules are equations of the primitive `part`.
        output: what it returns, as shapes.
    """

    jaxpr: core.ClosedJaxpr
    output: Any


part = core.Primitive("part")
"""A call of a submodule: its parameter `traced` is the submodule's `Traced`."""
part.multiple_results = True


@part.def_abstract_eval
def _avals(*_: Any, traced: Traced) -> list[Any]:
    return [jax.core.ShapedArray(leaf.shape, leaf.dtype) for leaf in jax.tree.leaves(traced.output)]


def traced(network: Network, shape: tuple[int, ...], batch_size: int = 1) -> Traced:
    """Return the program of a network in evaluation mode.

    A network that is no Flax Linen module, or one whose choices someone else made (`dnas.choices`), is traced as a
    whole.

    Args:
        network: the network.
        shape: (H, W, C) of an image.
        batch_size: images that go through it at once.
    """
    example = jax.ShapeDtypeStruct((batch_size, *shape), jnp.float32)
    try:
        with nn.intercept_methods(_catch):
            # The module that is called is looked at, not run: it needs no variables.
            jax.eval_shape(lambda x: network.apply(Variables({}, {}), x, train=False), example)
    except _Called as called:
        return _traced(called.call)
    # A network with variables of its own asks for them by name, and here it has none.
    except (_Decided, LookupError, AttributeError, TypeError):
        pass
    return _whole(network, example)


def _whole(network: Network, example: jax.ShapeDtypeStruct) -> Traced:
    variables = jax.eval_shape(network.init, jax.random.key(0), example)

    def run(x: Any) -> Any:
        # Made within, so that the images are the program's only input.
        own = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), variables)
        return network.apply(own, x, train=False)[0]

    return Traced(*jax.make_jaxpr(run, return_shape=True)(example))


class _Called(Exception):
    """The first call of a module, which goes no further."""

    def __init__(self, call: Call) -> None:
        super().__init__()
        self.call = call


class _Decided(Exception):
    """A module was called whose choices are made by someone else, so that it says too little by itself."""


def _catch(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
    if context.method_name == "__call__":
        if decided():
            raise _Decided
        raise _Called(Call.of(context.module, args, kwargs))
    return method(*args, **kwargs)


@lru_cache(maxsize=2**14)
def _traced(call: Call) -> Traced:
    looking_up = False

    def stand_in(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
        nonlocal looking_up
        # The interceptors of all modules that are being traced see a call.
        if looking_up or context.method_name != "__call__" or not isinstance(context.module.parent, nn.Module):
            return method(*args, **kwargs)
        looking_up = True
        own = _traced(Call.of(context.module, args, kwargs))
        looking_up = False
        arrays = [leaf for leaf in jax.tree.leaves((args, kwargs)) if hasattr(leaf, "shape")]
        return jax.tree.unflatten(jax.tree.structure(own.output), part.bind(*arrays, traced=own))

    def run(*arrays: Any) -> Any:
        args, kwargs = call.given(arrays)
        return call.module.init_with_output(jax.random.key(0), *args, **kwargs)[0]

    with nn.intercept_methods(stand_in):
        jaxpr, output = jax.make_jaxpr(run, return_shape=True)(*call.arrays)
    return Traced(jaxpr, output)
