"""Published genotypes of the DARTS family, by name.

Sources: DARTS_V1, DARTS_V2, NASNet and AmoebaNet from the DARTS code (quark0/darts at f276dd3), PC_DARTS_* from
yuhuixu1993/PC-DARTS (b74702f), PDARTS from chenxin061/pdarts (b880e87), DARTS_PT_S5 from ruocwang/darts-pt (4ec3149).
"""

from dnas.errors import unknown
from dnas.genotype import Cell, Edge, Genotype

_SHORT = {
    "max": "max_pool_3x3",
    "avg": "avg_pool_3x3",
    "skip": "skip_connect",
    "c71": "conv_7x1_1x7",
    **{f"sep{k}": f"sep_conv_{k}x{k}" for k in (3, 5, 7)},
    **{f"dil{k}": f"dil_conv_{k}x{k}" for k in (3, 5)},
}


def _cell(text: str, concat: tuple[int, ...]) -> Cell:
    nodes = tuple(
        tuple(Edge(_SHORT[word.split()[0]], int(word.split()[1])) for word in node.split(","))
        for node in text.split("|")
    )
    return Cell(nodes, concat)


def _genotype(
    normal: str,
    reduce: str,
    normal_concat: tuple[int, ...] = (2, 3, 4, 5),
    reduce_concat: tuple[int, ...] = (2, 3, 4, 5),
) -> Genotype:
    return Genotype("darts", (("normal", _cell(normal, normal_concat)), ("reduce", _cell(reduce, reduce_concat))))


def published() -> dict[str, Genotype]:
    """Return the published genotypes by name."""
    return {
        "DARTS_V1": _genotype(
            "sep3 1, sep3 0 | skip 0, sep3 1 | skip 0, sep3 1 | sep3 0, skip 2",
            "max 0, max 1 | skip 2, max 0 | max 0, skip 2 | skip 2, avg 0",
        ),
        "DARTS_V2": _genotype(
            "sep3 0, sep3 1 | sep3 0, sep3 1 | sep3 1, skip 0 | skip 0, dil3 2",
            "max 0, max 1 | skip 2, max 1 | max 0, skip 2 | skip 2, max 1",
        ),
        "PC_DARTS_cifar": _genotype(
            "sep3 1, skip 0 | sep3 0, dil3 1 | sep5 0, sep3 1 | avg 0, dil3 1",
            "sep5 1, max 0 | sep5 1, sep5 2 | sep3 0, sep3 3 | sep3 1, sep3 2",
        ),
        "PC_DARTS_image": _genotype(
            "skip 1, sep3 0 | sep3 0, skip 1 | sep3 1, sep3 3 | sep3 1, dil5 4",
            "sep3 0, skip 1 | dil5 2, max 1 | sep3 2, sep3 1 | sep5 0, sep3 3",
        ),
        "PDARTS": _genotype(
            "skip 0, dil3 1 | skip 0, sep3 1 | sep3 1, sep3 3 | sep3 0, dil5 4",
            "avg 0, sep5 1 | sep3 0, dil5 2 | max 0, dil3 1 | dil3 1, dil5 3",
        ),
        "DARTS_PT_S5": _genotype(
            "sep3 0, sep3 1 | sep3 0, sep3 1 | skip 0, skip 2 | sep3 1, skip 3",
            "avg 0, sep5 1 | max 1, skip 2 | dil5 1, max 3 | sep5 2, skip 3",
        ),
        "NASNet": _genotype(
            "sep5 1, sep3 0 | sep5 0, sep3 0 | avg 1, skip 0 | avg 0, avg 0 | sep3 1, skip 1",
            "sep5 1, sep7 0 | max 1, sep7 0 | avg 1, sep5 0 | skip 3, avg 2 | sep3 2, max 1",
            (2, 3, 4, 5, 6),
            (4, 5, 6),
        ),
        "AmoebaNet": _genotype(
            "avg 0, max 1 | sep3 0, sep5 2 | sep3 0, avg 3 | sep3 1, skip 1 | skip 0, avg 1",
            "avg 0, sep3 1 | max 0, sep7 2 | sep7 0, avg 1 | max 0, max 1 | c71 0, sep3 5",
            (4, 5, 6),
            (3, 4, 6),
        ),
    }


def named(name: str) -> Genotype:
    """Return the published genotype called `name`; `UserError` with the nearest name if there is none."""
    every = published()
    if name not in every:
        raise unknown("genotype", name, every)
    return every[name]
