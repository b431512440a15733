"""Which axes follow a chosen width: the rules of the primitives, and what may not follow."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from dnas import UserError
from dnas.choices.axes import preserved
from dnas.choices.nnx import Conv, Linear
from dnas.choices.walk import Value, Walk
from dnas.types import Array

X = jnp.asarray(np.random.default_rng(0).normal(size=(4, 5, 6, 3)), jnp.float32)
WIDE = 6
Y = jnp.asarray(np.random.default_rng(1).normal(size=(3, 4, 5)), jnp.float32)


def looked_up(x: Array) -> Array:
    return x[jnp.array([[0, 2], [1, 1]])]


def branch(x: Array) -> Array:
    return lax.cond(x.sum() > 0, jnp.sin, lambda x: x * 2, x)


def shifted(x: Array) -> Array:
    """Carry something that is zero in the first turn only, where its channels are left out."""
    return lax.scan(lambda carry, row: ((carry[1], jnp.cos(row)), carry[0]), (x[0] * 0, x[0] * 0), x)[1]


def until(x: Array) -> Array:
    return lax.while_loop(lambda carry: carry[1] < 3, lambda carry: (jnp.tanh(carry[0]), carry[1] + 1), (x, 0))[0]


def product(x: Array) -> Array:
    return jnp.einsum("abc,dbe->abcde", x, x[:, :, :2])


def pool(x: Array) -> Array:
    return nnx.max_pool(x, (2,), (1,))


KEPT = {(0, 0), (1, 1), (2, 2)}
PRODUCT = {(0, 0), (0, 1), (2, 2)}
RULES: dict[str, tuple[Callable[[Array], Array], set[tuple[int, int]], set[tuple[int, int]]]] = {
    "gelu": (nnx.gelu, KEPT, KEPT),
    "elu": (nnx.elu, KEPT, KEPT),
    "cosine": (jnp.cos, KEPT, set()),
    "a constant": (lambda x: x + 1, KEPT, set()),
    "where": (lambda x: jnp.where(x > 0, x, 0), KEPT, KEPT),
    "where one": (lambda x: jnp.where(x > 0, x, 1), KEPT, set()),
    "transpose": (lambda x: x.transpose(2, 0, 1), {(0, 1), (1, 2), (2, 0)}, {(0, 1), (1, 2), (2, 0)}),
    "reshape": (lambda x: x.reshape(x.shape[0] * x.shape[1], 1, -1), {(2, 2)}, {(2, 2)}),
    "expanded": (lambda x: x[:, None], {(0, 0), (1, 2), (2, 3)}, {(0, 0), (1, 2), (2, 3)}),
    "sum": (lambda x: x.sum(1), {(0, 0), (2, 1)}, {(0, 0), (2, 1)}),
    "softmax": (nnx.softmax, {(0, 0), (1, 1)}, set()),
    "cumulative": (lambda x: jnp.cumsum(x, 1), {(0, 0), (2, 2)}, {(0, 0), (2, 2)}),
    "sorted": (lambda x: jnp.sort(x, 0), {(1, 1), (2, 2)}, {(1, 1), (2, 2)}),
    "reversed": (lambda x: jnp.flip(x, 1), {(0, 0), (2, 2)}, {(0, 0), (2, 2)}),
    "sliced": (lambda x: x[:, 1:], {(0, 0), (2, 2)}, {(0, 0), (2, 2)}),
    "padded": (lambda x: jnp.pad(x, ((0, 0), (1, 0), (0, 0))), {(0, 0), (2, 2)}, {(0, 0), (2, 2)}),
    "padded by ones": (
        lambda x: jnp.pad(x, ((0, 0), (1, 0), (0, 0)), constant_values=1),
        {(0, 0), (2, 2)},
        set(),
    ),
    "concatenated": (lambda x: jnp.concatenate([x, x * 2], 1), {(0, 0), (2, 2)}, {(0, 0), (2, 2)}),
    "split": (lambda x: jnp.split(x, 2, 1)[1], {(0, 0), (2, 2)}, {(0, 0), (2, 2)}),
    "pooled": (pool, {(0, 0), (2, 2)}, {(0, 0), (2, 2)}),
    "looked up": (looked_up, {(1, 2), (2, 3)}, {(1, 2), (2, 3)}),
    "product": (product, {(0, 0), (0, 3), (1, 1)}, {(0, 0), (0, 3), (1, 1)}),
    "branches": (branch, set(), set()),
    "scan": (shifted, {(1, 1), (2, 2)}, set()),
    "while": (until, KEPT, KEPT),
    "compiled": (jax.jit(nnx.leaky_relu), KEPT, KEPT),
    "rematerialised": (jax.checkpoint(jnp.expm1), KEPT, KEPT),
    "mapped": (jax.vmap(lambda row: row @ row.T, in_axes=2, out_axes=2), PRODUCT, PRODUCT),
}
"""Functions of one array, which axes of it and of the result are the same, and which stay zero."""


@pytest.mark.parametrize("name", RULES)
def test_leaving_out_entries_commutes_with_what_keeps_an_axis(name: str) -> None:
    function, same, zero = RULES[name]
    walk = Walk()
    program = jax.make_jaxpr(function)(Y).jaxpr
    axes = walk.graph.array(Y.shape)
    [result] = walk.run(program, [Value(axes, None, (True,) * Y.ndim)])
    free = {
        (old, new)
        for old, one in enumerate(axes)
        for new, other in enumerate(result.axes)
        if walk.graph.root(one) == walk.graph.root(other) and walk.graph.root(one) not in walk.graph.fixed
    }
    assert free == same
    assert {pair for pair in free if result.zeros[pair[1]]} == zero
    whole = function(Y)
    for old in {old for old, _ in same}:
        cut, held = whole, function(jnp.where(lax.broadcasted_iota(int, Y.shape, old) < 2, Y, 0))
        for new in (new for own, new in same if own == old):
            cut = lax.slice_in_dim(cut, 0, 2, axis=new)
            left_out = lax.slice_in_dim(held, 2, Y.shape[old], axis=new)
            assert (old, new) not in zero or not left_out.any()
        np.testing.assert_allclose(function(lax.slice_in_dim(Y, 0, 2, axis=old)), cut, rtol=1e-5, atol=1e-6)


def test_a_reshape_leaves_axes_alone_which_have_as_much_before_and_behind() -> None:
    assert preserved((2, 3, 4, 8), (6, 4, 1, 8)) == [(2, 1), (3, 3)]
    assert preserved((8,), (1, 1, 8)) == [(0, 2)]
    assert preserved((4, 6), (6, 4)) == []
    assert preserved((4, 2, 3), (4, 6)) == [(0, 0)]


Made = Callable[[nnx.Rngs], tuple[dict[str, Any], Callable[..., Any]]]


def wide(rngs: nnx.Rngs, decision: str) -> Conv:
    return Conv(3, (2, 4, WIDE), (3, 3), decision=decision, rngs=rngs)


def follow(layer: Callable[[nnx.Rngs], Any], run: Callable[..., Any] = lambda own, x: own.next(own.wide(x))) -> Made:
    return lambda rngs: ({"wide": wide(rngs, "w"), "next": layer(rngs)}, run)


FIXED: Any = 4


def same(_: Any, x: Array) -> Array:
    return x


def nothing(rngs: nnx.Rngs) -> None:
    return None


def groups(rngs: nnx.Rngs) -> nnx.Conv:
    return nnx.Conv(WIDE, WIDE, (3, 3), feature_group_count=WIDE, rngs=rngs)


REFUSED: dict[str, tuple[Made, int, str]] = {
    "nothing to choose": (lambda rngs: ({"a": Conv(3, 4, (3, 3), rngs=rngs)}, same), 4, "leaves nothing to choose"),
    "no width to choose": (lambda rngs: ({"a": Linear(3, FIXED, rngs=rngs)}, same), 4, "use flax's Linear"),
    "no common centre": (
        lambda rngs: ({"a": Conv(3, 4, ((2, 2), (3, 3)), rngs=rngs)}, same),
        4,
        "no common centre",
    ),
    "a width in groups": (
        lambda rngs: ({"a": Conv(3, (3, 6), (3, 3), feature_group_count=3, rngs=rngs)}, same),
        6,
        "feature_group_count is 3",
    ),
    "the end": (follow(nothing, lambda own, x: own.wide(x)), 0, "choice 'w': its channels are what the model returns"),
    "layer norm": (follow(lambda rngs: nnx.LayerNorm(WIDE, rngs=rngs)), WIDE, "as LayerNorm, RMSNorm"),
    "rms norm": (follow(lambda rngs: nnx.RMSNorm(WIDE, rngs=rngs)), WIDE, "as LayerNorm, RMSNorm"),
    "group norm": (follow(lambda rngs: nnx.GroupNorm(WIDE, 2, rngs=rngs)), WIDE, "as GroupNorm and flattening do"),
    "softmax": (follow(nothing, lambda own, x: nnx.softmax(own.wide(x))), WIDE, "put together with"),
    "joined": (
        follow(nothing, lambda own, x: jnp.concatenate([x, own.wide(x)], -1)),
        WIDE + 3,
        "joined with others by a concatenation",
    ),
    "depthwise": (follow(groups), WIDE, f"divided by a convolution in {WIDE} groups"),
    "flattened": (
        follow(nothing, lambda own, x: own.wide(x).reshape(4, -1)),
        WIDE * 30,
        "divided or joined with another axis by a reshape",
    ),
    "sliced": (follow(nothing, lambda own, x: own.wide(x)[..., :2]), 2, "cut by a slice"),
    "added to the input": (
        follow(nothing, lambda own, x: own.wide(x) + jnp.repeat(x, 2, -1)),
        WIDE,
        "choice 'w': its channels are",
    ),
    "added to a constant": (
        follow(nothing, lambda own, x: own.wide(x) + np.arange(WIDE, dtype=np.float32)),
        WIDE,
        "joined with a constant",
    ),
    "added to a size": (
        follow(nothing, lambda own, x: own.wide(x) * jnp.ones((WIDE,))),
        WIDE,
        "choice 'w' at width 2: the model cannot be built",
    ),
    "added to another width": (
        follow(lambda rngs: wide(rngs, "v"), lambda own, x: own.wide(x) + own.next(x)),
        WIDE,
        "let the layers share one decision by name",
    ),
    "products of what is not zero": (
        follow(nothing, lambda own, x: jnp.einsum("bhwc,bhvc->bhwv", jnp.cos(own.wide(x)), jnp.exp(own.wide(x)))),
        6,
        "by a product of two arrays that nothing holds at zero",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_where_the_law_cannot_hold_is_said_at_once(name: str, nnx_space: Any) -> None:
    make, ends, said = REFUSED[name]
    with pytest.raises(UserError) as raised:
        nnx_space(make, ends, X)
    assert said in str(raised.value)
    assert "\n" not in str(raised.value)
