"""Which axes of an operation's operands and results are one and the same, as a rule for each of JAX's primitives.

Two axes are the same where leaving entries out of one leaves the same ones out of the other. The primitives and their
parameters are those of `jax.lax`, whose reference says what each does.
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

Slot = tuple[int, int]
"""An operand by its number, or a result by `RESULT` less its number, and one of its axes."""
RESULT = -1
Groups = list[list[Slot]]
Shapes = list[tuple[int, ...]]

_ELEMENTWISE = """
abs acos acosh add add_any and asin asinh atan atan2 atanh bitcast_convert_type cbrt ceil clamp conj
convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv erfc exp exp2 expm1 floor ge gt imag integer_pow
is_finite le lgamma log log1p logistic lt max min mul name ne neg nextafter not or pow real reduce_precision rem round
rsqrt select_n shift_left shift_right_arithmetic shift_right_logical sign sin sinh sqrt square stop_gradient sub tan
tanh xor
"""
ELEMENTWISE = frozenset(_ELEMENTWISE.split())
REDUCING = frozenset(("argmax", "argmin", *(f"reduce_{name}" for name in ("and", "max", "min", "or", "prod", "sum"))))
ALONG_ONE = frozenset(("cumlogsumexp", "cummax", "cummin", "cumprod", "cumsum", "sort"))
POOLING = frozenset(("reduce_window", "reduce_window_max", "reduce_window_min", "reduce_window_sum"))
MADE = frozenset(("iota", "random_bits"))


class Related(NamedTuple):
    """What a primitive does to axes.

    Attributes:
        groups: axes that are the same. An axis in no group, longer than one, is one that nothing can be left out of.
        why: what the primitive does to such an axis, as the end of "its channels are ...".
    """

    groups: Groups
    why: str


def related(equation: Any) -> Related | None:
    """Return which axes of a traced equation are the same, or `None` where there is no rule for its primitive."""
    name, params = equation.primitive.name, equation.params
    ins = [variable.aval.shape for variable in equation.invars]
    outs = [variable.aval.shape for variable in equation.outvars]
    if name in ELEMENTWISE:
        return Related(_alike([*enumerate(ins), (RESULT, outs[0])]), "")
    if name in MADE:
        return Related([[(RESULT, axis)] for axis in range(len(outs[0]))], "")
    if name in REDUCING:
        kept = [axis for axis in range(len(ins[0])) if axis not in params["axes"]]
        return Related(_onto(kept), f"put together with {name}, as LayerNorm, RMSNorm, a mean and a softmax do")
    if name in ALONG_ONE:
        axis = params["dimension" if name == "sort" else "axis"]
        return Related(_alike([*enumerate(ins), *_results(outs)], {axis}), f"put in relation with {name}")
    if name in POOLING:
        return Related(_unpooled(params, ins[0]), f"put together with {name}")
    rule = RULES.get(name)
    return None if rule is None else rule(params, ins, outs)


def preserved(before: tuple[int, ...], after: tuple[int, ...]) -> list[tuple[int, int]]:
    """Return the axes that a reshape leaves as they are, each in the old and the new shape.

    Arrays are laid out row by row, so that an axis is left alone where as many entries lie before and behind it.

    >>> preserved((2, 3, 4, 8), (6, 4, 1, 8))
    [(2, 1), (3, 3)]
    """

    def places(shape: tuple[int, ...]) -> dict[tuple[int, int], int]:
        found, ahead = {}, 1
        for axis, size in enumerate(shape):
            if size > 1:
                found[ahead, size] = axis
            ahead *= size
        return found

    old, new = places(before), places(after)
    return [(axis, new[key]) for key, axis in old.items() if key in new]


def _alike(arrays: Iterable[tuple[int, tuple[int, ...]]], but: Iterable[int] = ()) -> Groups:
    """Return the axes of arrays of one shape as groups; scalars have none."""
    arrays = [(number, shape) for number, shape in arrays if shape]
    rank = max((len(shape) for _, shape in arrays), default=0)
    return [[(number, axis) for number, _ in arrays] for axis in range(rank) if axis not in but]


def _onto(axes: Iterable[int]) -> Groups:
    """Return the groups where these axes of operand 0 become, one by one, those of the result."""
    return [[(0, axis), (RESULT, new)] for new, axis in enumerate(axes)]


def _results(shapes: Shapes) -> list[tuple[int, tuple[int, ...]]]:
    return [(RESULT - number, shape) for number, shape in enumerate(shapes)]


def _same(axes: Iterable[int], *operands: int) -> Groups:
    return [[(operand, axis) for operand in (*operands, RESULT)] for axis in axes]


def _unpooled(params: dict[str, Any], shape: tuple[int, ...]) -> Groups:
    ones = (1,) * len(shape)
    settings = zip(
        params["window_dimensions"],
        params["window_strides"],
        params.get("base_dilation", ones),
        params.get("window_dilation", ones),
        params["padding"],
        strict=True,
    )
    return _same((axis for axis, own in enumerate(settings) if own == (1, 1, 1, 1, (0, 0))), 0)


def _broadcast(params: dict[str, Any], ins: Shapes, outs: Shapes) -> Related:
    given = {new: old for old, new in enumerate(params["broadcast_dimensions"]) if ins[0][old] == outs[0][new]}
    groups: Groups = [[(RESULT, new), *([(0, given[new])] if new in given else [])] for new in range(len(outs[0]))]
    return Related(groups, "")


def _reshape(params: dict[str, Any], ins: Shapes, outs: Shapes) -> Related:
    del params
    groups = [[(0, old), (RESULT, new)] for old, new in preserved(ins[0], outs[0])]
    return Related(groups, "divided or joined with another axis by a reshape, as GroupNorm and flattening do")


def _dot(params: dict[str, Any], ins: Shapes, outs: Shapes) -> Related:
    del outs
    (left, right), (left_batch, right_batch) = params["dimension_numbers"]
    groups: Groups = [[(0, a), (1, b)] for a, b in zip(left, right, strict=True)]
    groups += [[(0, a), (1, b), (RESULT, new)] for new, (a, b) in enumerate(zip(left_batch, right_batch, strict=True))]
    new = len(left_batch)
    for operand, taken in ((0, (*left, *left_batch)), (1, (*right, *right_batch))):
        for axis in range(len(ins[operand])):
            if axis not in taken:
                groups.append([(operand, axis), (RESULT, new)])
                new += 1
    return Related(groups, "")


def _convolution(params: dict[str, Any], ins: Shapes, outs: Shapes) -> Related:
    del ins, outs
    image, kernel, result = params["dimension_numbers"]
    groups: Groups = [[(0, image[0]), (RESULT, result[0])]]
    number = max(params["feature_group_count"], params["batch_group_count"])
    if number == 1:
        groups += [[(0, image[1]), (1, kernel[1])], [(1, kernel[0]), (RESULT, result[1])]]
    return Related(groups, f"divided by a convolution in {number} groups" if number > 1 else "those of an image")


def _gather(params: dict[str, Any], ins: Shapes, outs: Shapes) -> Related:
    del outs
    numbers, sizes = params["dimension_numbers"], params["slice_sizes"]
    gone = (*numbers.collapsed_slice_dims, *numbers.operand_batching_dims)
    kept = [axis for axis in range(len(ins[0])) if axis not in gone]
    pairs = zip(kept, numbers.offset_dims, strict=True)
    return Related([[(0, axis), (RESULT, new)] for axis, new in pairs if sizes[axis] == ins[0][axis]], "looked up in")


def _whole(operands: tuple[int, ...], why: str) -> Callable[..., Related]:
    """Return the rule of a primitive that leaves those axes alone which stay as long as they are."""

    def rule(params: dict[str, Any], ins: Shapes, outs: Shapes) -> Related:
        del params
        shapes = [*(ins[operand] for operand in operands), outs[0]]
        same = [axis for axis, sizes in enumerate(zip(*shapes, strict=True)) if len(set(sizes)) == 1]
        return Related(_same(same, *operands), why)

    return rule


def _concatenate(params: dict[str, Any], ins: Shapes, outs: Shapes) -> Related:
    groups = _alike([*enumerate(ins), *_results(outs)], {params["dimension"]})
    return Related(groups, "joined with others by a concatenation")


def _split(params: dict[str, Any], ins: Shapes, outs: Shapes) -> Related:
    return Related(_alike([*enumerate(ins), *_results(outs)], {params["axis"]}), "divided by a split")


def _rev(params: dict[str, Any], ins: Shapes, outs: Shapes) -> Related:
    return Related(_alike([*enumerate(ins), *_results(outs)], params["dimensions"]), "put in another order")


def _barrier(params: dict[str, Any], ins: Shapes, outs: Shapes) -> Related:
    del params, outs
    return Related(
        [[(number, axis), (RESULT - number, axis)] for number, shape in enumerate(ins) for axis in range(len(shape))],
        "",
    )


def _transpose(params: dict[str, Any], ins: Shapes, outs: Shapes) -> Related:
    del ins, outs
    return Related(_onto(params["permutation"]), "")


def _squeeze(params: dict[str, Any], ins: Shapes, outs: Shapes) -> Related:
    del outs
    return Related(_onto(axis for axis in range(len(ins[0])) if axis not in params["dimensions"]), "")


RULES: dict[str, Callable[[dict[str, Any], Shapes, Shapes], Related]] = {
    "broadcast_in_dim": _broadcast,
    "concatenate": _concatenate,
    "conv_general_dilated": _convolution,
    "dot_general": _dot,
    "dynamic_slice": _whole((0,), "cut by a slice"),
    "dynamic_update_slice": _whole((0, 1), "written over in part"),
    "gather": _gather,
    "optimization_barrier": _barrier,
    "pad": _whole((0,), "padded"),
    "reshape": _reshape,
    "rev": _rev,
    "slice": _whole((0,), "cut by a slice"),
    "split": _split,
    "squeeze": _squeeze,
    "transpose": _transpose,
}
