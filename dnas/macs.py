"""Multiply-adds of any JAX function, counted from the shapes of its convolutions and matrix products.

The count is made from the traced program, not from a compiler's estimate, so that it covers derivatives and
is the same on every device. Loops count as often as they turn; of a branch the costlier side counts.
"""

import math
import re
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import jax
from jax.extend import core
from jax.interpreters import partial_eval


def count_macs(function: Callable[..., Any], *arguments: Any) -> int:
    """Return the multiply-adds of `function(*arguments)`; arguments may be `ShapeDtypeStruct`s.

    Element by element arithmetic is not counted, nor what no output depends on. A `while` loop, whose turns are not
    known, counts once.
    """
    jaxpr = jax.make_jaxpr(function)(*arguments).jaxpr
    return int(_count(partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))[0]))


def happening(function: Callable[..., Any], times: int, turns: int) -> Callable[..., Any]:
    """Return `function` so that it counts `times` in `turns` calls: for a branch that is not always taken."""

    def named(*arguments: Any) -> Any:
        return function(*arguments)

    named.__name__ = named.__qualname__ = f"happens_{times}_of_{turns}"
    return jax.jit(named)


_HAPPENS = re.compile(r"happens_(\d+)_of_(\d+)")


def _count(jaxpr: core.Jaxpr) -> Fraction:
    return sum((_equation(equation) for equation in jaxpr.eqns), start=Fraction(0))


def _equation(equation: Any) -> Fraction:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        return Fraction(product(equation))
    if name == "conv_general_dilated":
        return Fraction(convolution(equation))
    if name == "cond":
        return max(_count(branch.jaxpr) for branch in params["branches"])
    turns = Fraction(params["length"] if name == "scan" else 1)
    if often := _HAPPENS.fullmatch(str(params.get("name", ""))):
        turns = Fraction(int(often[1]), int(often[2]))
    return turns * sum((_count(each) for each in inner(params)), start=Fraction(0))


def product(equation: Any) -> int:
    """Return the multiply-adds of a `dot_general`."""
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = equation.invars[0].aval.shape
    return math.prod(equation.outvars[0].aval.shape) * math.prod(left[axis] for axis in contracted)


def convolution(equation: Any) -> int:
    """Return the multiply-adds of a `conv_general_dilated`.

    The products of every output element's window count, those with padding too, as in the literature.
    """
    params = equation.params
    numbers = params["dimension_numbers"]
    kernel, output = equation.invars[1].aval.shape, equation.outvars[0].aval.shape
    window = math.prod(kernel[axis] for axis in numbers.rhs_spec[1:])
    # Spreading the input puts zeros between its elements, which a window meets instead of values.
    return math.prod(output) * window // math.prod(params["lhs_dilation"])


def inner(params: dict[str, Any]) -> list[core.Jaxpr]:
    """Return the programs that an equation with these parameters calls."""
    found = []
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, core.ClosedJaxpr):
                found.append(item.jaxpr)
            elif isinstance(item, core.Jaxpr):
                found.append(item)
    return found
