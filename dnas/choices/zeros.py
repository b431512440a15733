"""Where an operation's result is zero because its operands are, as a rule for each of JAX's primitives."""

from collections.abc import Sequence
from typing import Any

PRODUCTS = frozenset(("and", "conv_general_dilated", "dot_general", "mul"))
"""Zero where one operand is."""
_FIRST = """
atan2 broadcast_in_dim div dynamic_slice gather rem reshape rev shift_left shift_right_arithmetic shift_right_logical
slice split squeeze transpose
"""
FIRST = frozenset(_FIRST.split())
"""Zero where the first operand is."""
_ALL = """
abs add add_any asin asinh atan atanh bitcast_convert_type cbrt ceil clamp conj convert_element_type copy copy_p
concatenate cummax cummin cumprod cumsum dynamic_update_slice erf erf_inv expm1 floor imag log1p max min name neg
optimization_barrier or pad real reduce_max reduce_min reduce_or reduce_precision reduce_prod reduce_sum
reduce_window_max reduce_window_min reduce_window_sum round sign sin sinh sort sqrt square stop_gradient sub tan
tanh xor
"""
ALL = frozenset(_ALL.split())
"""Zero where all operands are."""


def vanishes(equation: Any, operands: Sequence[bool]) -> bool:
    """Return whether the results of a traced equation are zero where these of its operands are.

    What is said of no primitive is not zero.
    """
    name = equation.primitive.name
    if name in PRODUCTS:
        return any(operands)
    if name in ALL:
        return all(operands)
    if name == "select_n":
        return all(operands[1:])
    return bool(operands[0]) if name in FIRST or (name == "integer_pow" and equation.params["y"] > 0) else False
