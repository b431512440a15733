"""Which axes of a model's variables are as long as a chosen width, read off its traced program.

A layer of NNX is told how many channels it takes and makes all of its parameters at once, so that what follows a chosen
width cannot be found by making the model smaller. Here each axis of each array of the traced program is a node of a
graph in which axes that are one and the same are joined (`dnas.choices.axes` says which are): an axis of a kernel that
is joined with the channels that a layer returns is cut with them. Elementwise functions, dense layers, convolutions,
pooling and batch norm keep channels apart; what mixes, joins or counts them, as LayerNorm, a concatenation or a
convolution in groups, may not follow before a layer of fixed width has, nor may the model return them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from jax.extend import core

from dnas.choices.walk import Value, Walk
from dnas.errors import UserError

Place = tuple[tuple[Any, ...], int]
"""A variable by its path, and one of its axes."""


class Tied(NamedTuple):
    """The axes of variables that follow chosen widths.

    Attributes:
        widths: for each axis the name of the decision.
        held: those of which a supernet must hold at zero what is left out. The others are summed over by a product
            with what is zero there anyway, so that derivatives say of channels that are left out what they would do.
    """

    widths: Mapping[Place, str]
    held: frozenset[Place]


class Traced(NamedTuple):
    """A model's traced program.

    Attributes:
        program: its operands are all variables, then all else; its results all outputs, then the statistics.
        outputs: number of outputs.
        stats: paths of the statistics.
    """

    program: core.ClosedJaxpr
    outputs: int
    stats: Sequence[tuple[Any, ...]]


def tied(variables: Mapping[tuple[Any, ...], Any], traces: Iterable[Traced], widths: Mapping[Place, str]) -> Tied:
    """Return the axes of variables that follow chosen widths.

    Args:
        variables: shapes of a model's parameters and statistics by path, in the order of the programs' operands.
        traces: the model's programs, such as those of evaluation and of training.
        widths: the axes of kernels and biases along which channels are chosen, with the names of the decisions.

    Raises:
        UserError: if channels are chosen that the programs use in another way than channel by channel, or that two
            decisions are about.
    """
    walk = Walk()
    graph = walk.graph
    known = {path: graph.array(leaf.shape) for path, leaf in variables.items()}
    nodes = {(path, axis): node for path, own in known.items() for axis, node in enumerate(own)}
    for program, outputs, stats in traces:
        rest = program.jaxpr.invars[len(known) :]
        given = [Value(own, tuple(frozenset([node]) for node in own), (True,) * len(own)) for own in known.values()]
        others = [Value(graph.array(each.aval.shape), None, (False,) * each.aval.ndim) for each in rest]
        graph.fix((node for value in others for node in value.axes), "joined with the model's own input")
        results = walk.run(program.jaxpr, [*given, *others])
        graph.fix((node for value in results[:outputs] for node in value.axes), "what the model returns")
        for path, value in zip(stats, results[outputs:], strict=True):
            graph.join_all(zip(known[path], value.axes, strict=True))
    names: dict[int, str] = {}
    for place, name in widths.items():
        root = graph.root(nodes[place])
        if names.setdefault(root, name) != name:
            raise UserError(
                f"choices {names[root]!r} and {name!r} are about the same channels, those of two layers that are "
                f"joined: let the layers share one decision by name"
            )
        if root in graph.fixed:
            raise UserError(
                f"choice {name!r}: its channels are {graph.fixed[root][1]}, so that none can be left out: let a layer "
                f"of fixed width, such as nnx.Linear or nnx.Conv, come before that, or use BatchNorm for a norm"
            )
    found = {place: names[root] for place, node in nodes.items() if (root := graph.root(node)) in names}
    return Tied(found, frozenset(place for place in found if nodes[place] in walk.held and place not in widths))
