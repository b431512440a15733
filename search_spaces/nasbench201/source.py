"""A network of NAS-Bench-201 as Python text, for `dnas export --to flax`."""

from typing import Any

import flax.linen as nn
import jax

from dnas.export.blocks import ConvNorm, batch_norm
from dnas.export.source import Source, operation, statement
from dnas.genotype import Genotype
from search_spaces.nasbench201.cells import NODES, chosen, edge_name, plan, stage_name

_TEXT = '''
class Cell(nn.Module):
    """A cell: each of the states from s1 on is a sum of operations on earlier ones."""

    channels: int

    @nn.compact
    def __call__(self, s0: jax.Array, train: bool = False) -> jax.Array:
{nodes}
        return s{last}


class Network(nn.Module):
    """A stem, three stages of {cells} cells with residual blocks between them, and a linear head."""

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        x = ConvNorm({channels}, (3, 3), name="stem")(normalise(images), train)
{calls}
        x = nn.relu(batch_norm(train, "last_norm")(x))
        return nn.Dense({classes}, name="head")(x.mean(axis=(1, 2)))
'''


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, the first with stride 2, beside an average pool and a 1x1 convolution."""

    channels: int

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        """Map to half the size."""
        y = ConvNorm(self.channels, (3, 3), (2, 2), name="conv_0")(nn.relu(x), train)
        y = ConvNorm(self.channels, (3, 3), name="conv_1")(nn.relu(y), train)
        pooled = nn.avg_pool(x, (2, 2), strides=(2, 2))
        return y + nn.Conv(self.channels, (1, 1), use_bias=False, name="shortcut")(pooled)


def python_source(genotype: Genotype, *, classes: int, channels: int, cells: int, **others: Any) -> Source:
    """Return the network as text; arguments as in `search_spaces.nasbench201.build`. Batch norm is always affine."""
    del others
    parts: list[Any] = [ConvNorm, batch_norm, ResidualBlock]
    ops, nodes = chosen(genotype), []
    for node in range(1, NODES + 1):
        terms = []
        for origin in range(node):
            op = ops[node, origin]
            if op != "none":
                name = f"{edge_name(node, origin)}_{op}"
                term = operation(op, f"s{origin}", channels="self.channels", stride=1, name=name)
                terms.append(term.text)
                parts += term.parts
        nodes.append(statement(f"s{node} =", terms[0] if terms else "jnp.zeros_like(s0)"))
        nodes += [statement(f"s{node} +=", term) for term in terms[1:]]
    calls = []
    for index, stage in enumerate(plan(channels, cells)):
        if stage.reduces:
            calls.append(f'        x = ResidualBlock({stage.channels}, name="residual_{index}")(x, train)')
        names = (f"{stage_name(index)}_{cell}" for cell in range(stage.cells))
        calls += [f'        x = Cell({stage.channels}, name="{name}")(x, train)' for name in names]
    text = _TEXT.format(
        nodes="\n".join(nodes), last=NODES, cells=cells, channels=channels, calls="\n".join(calls), classes=classes
    )
    return Source(text.strip() + "\n", tuple(parts))
