"""A traced program in the words that a converter of neural networks knows.

In a traced program a pool is a reduction over windows of all axes, and a ReLU a maximum with zero. A converter that
watches the functions of Flax translates calls of these as what they are; so the program is evaluated with its pools and
ReLUs called by their names.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
from jax import lax
from jax.extend import core
from jax.interpreters import partial_eval

from dnas.types import Array

_CALLS = ("jit", "pjit", "closed_call", "custom_jvp_call", "custom_vjp_call")
"""Equations that only name what they call, or give it a derivative."""
_GEOMETRY = ("window_dimensions", "window_strides", "padding")


def named(function: Callable[[Array], Array], example: jax.ShapeDtypeStruct) -> Callable[[Array], Array]:
    """Return `function`, traced for an input like `example`, so that its pools and ReLUs are calls of Flax functions.

    Args:
        function: from one array to one array.
        example: the shape, of which the first axis may be symbolic.
    """
    closed = jax.make_jaxpr(function)(example)
    alive = partial_eval.dce_jaxpr(closed.jaxpr, [True], instantiate=True)[0]
    return lambda x: _evaluate(core.ClosedJaxpr(alive, closed.consts), [x])[0]


def _evaluate(closed: core.ClosedJaxpr, inputs: list[Any]) -> list[Any]:
    jaxpr = closed.jaxpr
    known = dict(zip((*jaxpr.constvars, *jaxpr.invars), (*closed.consts, *inputs), strict=True))

    def value(variable: Any) -> Any:
        return variable.val if isinstance(variable, core.Literal) else known[variable]

    for equation in jaxpr.eqns:
        outputs = _equation(equation, [value(variable) for variable in equation.invars])
        known.update(zip(equation.outvars, outputs, strict=True))
    return [value(variable) for variable in jaxpr.outvars]


def _equation(equation: Any, inputs: list[Any]) -> list[Any]:
    primitive, params = equation.primitive, equation.params
    inner = next((params[name] for name in ("jaxpr", "call_jaxpr") if name in params), None)
    if primitive.name in _CALLS and isinstance(inner, core.ClosedJaxpr):
        return [nn.relu(inputs[0])] if _is_relu(inner) else _evaluate(inner, inputs)
    if primitive.name in ("reduce_window_max", "reduce_window_sum") and _is_pool(inputs[0], params):
        return [_pool(primitive.name, inputs[0], params)]
    outputs = primitive.bind(*inputs, **params)
    return list(outputs) if primitive.multiple_results else [outputs]


def _is_relu(inner: core.ClosedJaxpr) -> bool:
    return [equation.params.get("name") for equation in inner.jaxpr.eqns] == ["relu"]


def _is_pool(x: Any, params: dict[str, Any]) -> bool:
    """Whether windows of `(N, H, W, C)` are over height and width, and padded in a way that `_pool` knows."""
    sizes, strides, padding = (params[key] for key in _GEOMETRY)
    apart = all((sizes[axis], strides[axis], tuple(padding[axis])) == (1, 1, (0, 0)) for axis in (0, -1))
    dilated = {*params["base_dilation"], *params["window_dilation"]} != {1}
    return x.ndim == 4 and apart and not dilated and (_padding(x, params) != "" or _centred(params))


def _padding(x: Any, params: dict[str, Any]) -> str:
    """Return Flax's word for a padding; empty where there is none."""
    window, strides, padding = (tuple(params[key][1:-1]) for key in _GEOMETRY)
    found = list(map(tuple, padding))
    words = (word for word in ("VALID", "SAME") if lax.padtype_to_pads(x.shape[1:-1], window, strides, word) == found)
    return next(words, "")


def _centred(params: dict[str, Any]) -> bool:
    """Whether a window has its centre on each of the pixels that the stride leaves."""
    window, _, padding = (tuple(params[key][1:-1]) for key in _GEOMETRY)
    return all(
        size % 2 == 1 and tuple(pads) == (size // 2, size // 2) for size, pads in zip(window, padding, strict=True)
    )


def _pool(name: str, x: Any, params: dict[str, Any]) -> Array:
    """Call Flax's pool with a padding that has a word: jax2onnx takes any other for none, and says nothing.

    With any other a window is put around every pixel, and those that the stride leaves out are dropped.
    """
    window, strides, _ = (tuple(params[key][1:-1]) for key in _GEOMETRY)
    word = _padding(x, params)
    settings: Any = {"window_shape": window, "strides": strides if word else (1, 1), "padding": word or "SAME"}
    if name == "reduce_window_max":
        y = nn.max_pool(x, **settings)
    else:
        y = nn.avg_pool(x, **settings, count_include_pad=True) * (window[0] * window[1])
    return y if word else lax.slice(y, (0, 0, 0, 0), y.shape, (1, *strides, 1))
