"""A network of the DARTS space as Python text, for `dnas export --to flax`."""

from typing import Any

import flax.linen as nn
import jax

from dnas.export.blocks import ConvNorm, FactorizedReduce
from dnas.export.source import Source, operation, statement
from dnas.genotype import Cell, Genotype
from search_spaces.darts.cells import INPUTS, REDUCE, kind, plan
from search_spaces.darts.network import edge_name

_CELL = '''
class {name}(nn.Module):
    """A {kind} cell: each of the states from s2 on is a sum of operations on earlier ones."""

    channels: int
    after_reduction: bool = False

    @nn.compact
    def __call__(self, s0: jax.Array, s1: jax.Array, train: bool = False) -> jax.Array:
        if self.after_reduction:
            s0 = FactorizedReduce(self.channels, name="preprocess_0")(s0, train)
        else:
            s0 = ConvNorm(self.channels, name="preprocess_0")(nn.relu(s0), train)
        s1 = ConvNorm(self.channels, name="preprocess_1")(nn.relu(s1), train)
{nodes}
        return jnp.concatenate([{concat}], axis=-1)
'''
_NETWORK = '''
class Network(nn.Module):
    """A stem, {cells} cells that each take the outputs of the two before them, and a linear head."""

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        x = normalise(images)
        {stem}
{calls}
        return nn.Dense({classes}, name="head")(s1.mean(axis=(1, 2)))
'''


class ImageNetStem(nn.Module):
    """Three 3x3 convolutions with stride 2; the first cell takes the outputs of the second and of the third."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> tuple[jax.Array, jax.Array]:
        """Map images to a quarter and an eighth of their size."""
        x = ConvNorm(self.channels // 2, (3, 3), (2, 2), name="conv_0")(x, train)
        x = ConvNorm(self.channels, (3, 3), (2, 2), name="conv_1")(nn.relu(x), train)
        return x, ConvNorm(self.channels, (3, 3), (2, 2), name="conv_2")(nn.relu(x), train)


def python_source(
    genotype: Genotype,
    *,
    classes: int,
    channels: int,
    cells: int,
    stem_multiplier: int,
    stem: str,
    pool_norm: bool,
    **others: Any,
) -> Source:
    """Return the evaluation network as text; arguments as in `search_spaces.darts.build`.

    It has no auxiliary head and no drop path, and batch norm is always affine.

    Raises:
        UserError: for an operation that cannot be written.
    """
    del others
    parts: list[Any] = [ConvNorm, FactorizedReduce, *([ImageNetStem] if stem == "imagenet" else [])]
    texts = []
    for group, cell in genotype.cells:
        text, used = _cell(group, cell, pool_norm)
        texts.append(text)
        parts += used
    first = f'ConvNorm({stem_multiplier * channels}, (3, 3), name="stem")(x, train)'
    begin = f's0, s1 = ImageNetStem({channels}, name="stem")(x, train)' if stem == "imagenet" else f"s0 = s1 = {first}"
    calls = []
    groups = tuple(name for name, _ in genotype.cells)
    for index, step in enumerate(plan(cells, channels, stem == "imagenet", groups)):
        after = ", after_reduction=True" if step.reduced_before else ""
        made = f'{_class(step.group)}({step.channels}{after}, name="cell_{index}")'
        calls.append(f"        s0, s1 = s1, {made}(s0, s1, train)")
    texts.append(_NETWORK.format(cells=cells, stem=begin, calls="\n".join(calls), classes=classes))
    return Source("\n\n".join(text.strip() + "\n" for text in texts), tuple(parts))


def _cell(group: str, cell: Cell, pool_norm: bool) -> tuple[str, list[Any]]:
    nodes: list[str] = []
    parts: list[Any] = []
    for node, kept in enumerate(cell.nodes):
        terms = []
        for position, edge in enumerate(kept):
            stride = 2 if kind(group) == REDUCE and edge.source < INPUTS else 1
            name = edge_name(node, position, edge.op)
            term = operation(
                edge.op, f"s{edge.source}", channels="self.channels", stride=stride, name=name, pool_norm=pool_norm
            )
            terms.append(term.text)
            parts += term.parts
        nodes.append(statement(f"s{node + INPUTS} =", terms[0]))
        nodes += [statement(f"s{node + INPUTS} +=", term) for term in terms[1:]]
    concat = ", ".join(f"s{state}" for state in cell.concat)
    kinds = "reduction" if kind(group) == REDUCE else "normal"
    return _CELL.format(name=_class(group), kind=kinds, nodes="\n".join(nodes), concat=concat), parts


def _class(group: str) -> str:
    return "".join(word.capitalize() for word in [*group.split("_")[:1], "cell", *group.split("_")[1:]])
