"""A network of the HyperCuboid space as Python text, for `dnas export --to flax`."""

from typing import Any

from dnas.export.blocks import ConvNorm, SepConv
from dnas.export.source import Source, operation, statement
from dnas.genotype import Genotype
from search_spaces.hypercuboid.grid import stride
from search_spaces.hypercuboid.network import level_name
from search_spaces.hypercuboid.paths import to_path

_TEXT = '''
class Network(nn.Module):
    """A path through a grid of layers, and a linear head."""

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        x = ConvNorm({stem}, (3, 3), name="stem")(normalise(images), train)
{calls}
        x = SepConv({head}, 3, name="end")(x, train)
        return nn.Dense({classes}, name="head")(x.mean(axis=(1, 2)))
'''
_KEEPING = ("max_pool_3x3", "avg_pool_3x3")
"""Operations that leave the number of channels as it is, at any stride."""


def python_source(genotype: Genotype, *, classes: int, channels: int, head_channels: int, **others: Any) -> Source:
    """Return the network as text; arguments as in `search_spaces.hypercuboid.build`. Batch norm is always affine.

    Raises:
        UserError: for an operation that cannot be written.
    """
    del others
    path = to_path(genotype)
    parts: list[Any] = [ConvNorm, SepConv]
    stem, *widths = (channels * 2**index for index in path.widths)
    calls, before = [], stem
    for level, (op, width) in enumerate(zip(path.ops, widths, strict=True), start=1):
        step, name = stride(level), level_name(level)
        term = operation(op, "x", channels=str(width), stride=step, name=name)
        parts += term.parts
        calls += [statement("x =", term.text)] if term.text != "x" else []
        kept = op in _KEEPING or (op == "skip_connect" and step == 1)
        if kept and before != width:
            calls.append(f'        x = ConvNorm({width}, name="{name}_resize")(x, train)')
        before = width
    text = _TEXT.format(stem=stem, calls="\n".join(calls), head=head_channels, classes=classes)
    return Source(text.strip() + "\n", tuple(parts))
