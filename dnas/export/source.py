"""Python text of a network: what a search space says of its own, and the text of an operation."""

import re
from typing import Any, NamedTuple

from dnas.errors import UserError
from dnas.export import blocks
from dnas.nn.operations import sized
from dnas.nn.sharp import CHOKE, FLOOD

WIDTH, INDENT = 120, " " * 8
"""Of lines, and of a method's."""


class Source(NamedTuple):
    """A network as Python text.

    Attributes:
        text: classes of its cells and, last, `class Network(nn.Module)`, whose `__call__(self, images, train=False)`
            hands `normalise(images)` on and returns logits. Layers are called in the order of the space's own network.
        parts: functions and classes whose source is copied before it, such as those of `dnas.export.blocks`; what
            they use themselves is found by its name.
    """

    text: str
    parts: tuple[Any, ...]


class Text(NamedTuple):
    """An expression, and the parts that it uses."""

    text: str
    parts: tuple[Any, ...] = ()


def statement(target: str, text: str) -> str:
    """Return `target text` as a line of a method, such as `s2 += SepConv(...)(s1, train)`, broken if it is long."""
    line = f"{INDENT}{target} {text}"
    made = re.fullmatch(r'(\w+)\((.*name="[^"]*")\)(\(.*\))', text)
    if len(line) <= WIDTH or made is None:
        return line
    return f"{INDENT}{target} {made[1]}(\n{INDENT}    {made[2]}\n{INDENT}){made[3]}"


def operation(op: str, x: str, *, channels: str, stride: int, name: str, pool_norm: bool = False) -> Text:
    """Return an operation of `dnas.nn.operations` as an expression.

    Args:
        op: its name.
        x: the expression of its input.
        channels: the expression of its number of channels.
        stride: 1 or 2.
        name: what its layer is called.
        pool_norm: whether a pool is followed by batch norm.

    Raises:
        UserError: for an operation that cannot be written.
    """
    step = f", stride={stride}" if stride > 1 else ""
    pools = {"max_pool_3x3": blocks.max_pool, "avg_pool_3x3": blocks.avg_pool}
    if op in pools:
        text = Text(f"{pools[op].__name__}({x}{step})", (pools[op],))
        return (
            Text(f'batch_norm(train, "{name}")({text.text})', (*text.parts, blocks.batch_norm)) if pool_norm else text
        )
    if op == "skip_connect" and stride == 1:
        return Text(x)
    found, made = sized(op), f'name="{name}")({x}, train)'
    if found:
        return _sized(*found, x, channels=channels, stride=stride, made=made)
    others = {
        "none": Text(f"jnp.zeros_like({x if stride == 1 else f'{x}[:, ::{stride}, ::{stride}]'})"),
        "skip_connect": Text(f"FactorizedReduce({channels}, {made}", (blocks.FactorizedReduce,)),
        "conv_7x1_1x7": Text(f"FactorizedConv({channels}{step}, {made}", (blocks.FactorizedConv,)),
    }
    if op not in others:
        raise UserError(
            f"the operation {op} cannot be written as a Flax module: export to stablehlo, which takes any network"
        )
    return others[op]


def _sized(family: str, size: int, x: str, *, channels: str, stride: int, made: str) -> Text:
    step = f", stride={stride}" if stride > 1 else ""
    if family == "nor_conv":
        strides = f", ({stride}, {stride})" if stride > 1 else ""
        made = made.replace(f"({x}, train)", f"(nn.relu({x}), train)")
        return Text(f"ConvNorm({channels}, ({size}, {size}){strides}, {made}", (blocks.ConvNorm,))
    if family == "dil_conv":
        return Text(f"DilConv({channels}, {size}{step}, {made}", (blocks.DilConv,))
    dilated = ", dilation=2" if "dil" in family else ""
    middle = f", middle={FLOOD} * {channels}" if "flood" in family else f", middle={CHOKE}" if "choke" in family else ""
    return Text(f"SepConv({channels}, {size}{step}{dilated}{middle}, {made}", (blocks.SepConv,))
