"""The rule of sharpDARTS on a grid of layers: the path of greatest total weight (Hundt et al., arXiv:1903.09900).

The authors' code (ahundt/sharpDARTS at 6f593d4, `cnn/model_search.py`) leaves it to networkx as the longest path of a
graph of operations; here edges have the weight of their best operation, which is the same.
"""

from collections.abc import Sequence

import numpy as np

from dnas.types import Group

Pairs = tuple[tuple[int, int], ...]


def best_path(group: Group, strength: Sequence[float]) -> tuple[Pairs, ...]:
    """Return, for each node, its edge on the path whose edges weigh most in all; nothing for a node off the path.

    A path leads from any of the group's inputs to its last node. It is found exactly: the best path to a node goes
    along the best path to one of its sources (dynamic programming), so that the cost is one look at each edge. Of
    equally good sources the one listed first is taken, from the last node backwards.

    Args:
        group: its `nodes` only have sources among the inputs and earlier nodes.
        strength: weight of each edge, `(edges,)`; sums are in float64.

    Returns:
        At most one `(edge, source)` pair for each node.
    """
    inputs = group.concat[0] + 1 - len(group.nodes)
    total = np.zeros(inputs + len(group.nodes))
    best: list[tuple[int, int]] = []
    for node, incoming in enumerate(group.nodes):
        lengths = [total[source] + strength[edge] for edge, source in incoming]
        chosen = int(np.argmax(lengths))
        total[inputs + node] = lengths[chosen]
        best.append(incoming[chosen])
    kept: list[Pairs] = [()] * len(group.nodes)
    state = group.concat[0]
    while state >= inputs:
        kept[state - inputs] = (best[state - inputs],)
        state = best[state - inputs][1]
    return tuple(kept)
