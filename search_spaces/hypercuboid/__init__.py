"""The HyperCuboid space of sharpDARTS (Hundt, Jain and Hager, arXiv:1903.09900, section 4).

What is chosen is not a cell but a whole network: the number of channels at each level and the operation between any two
levels. The supernet is a grid of levels and widths in which every state has a mixed operation from every state of the
level before; an architecture is one path through it.
"""

from collections.abc import Mapping
from typing import Any

from dnas import arguments
from dnas.arguments import at_least_one, changed, check_classes, check_ops
from dnas.errors import UserError, unknown
from dnas.genotype import Genotype
from dnas.nn import functions
from dnas.types import Network, SearchSpace, Variables
from search_spaces.hypercuboid.grid import END, GRID, Grid, edge_name, end_name, stem_name
from search_spaces.hypercuboid.network import DerivedNetwork, level_name
from search_spaces.hypercuboid.paths import SPACE, Path, grid_of, known_ops, named, published, to_genotype, to_path
from search_spaces.hypercuboid.source import python_source
from search_spaces.hypercuboid.supernet import SuperNet

OPS = ("max_pool_3x3", END)
"""The two candidate operations, in the order of the columns of `alpha`: `MULTICHANNELNET_PRIMITIVES` of the authors."""

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "data": "digits",
        "baseline": 1,
        "space.channels": 4,
        "space.widths": 2,
        "space.layers": 2,
        "space.head_channels": 16,
        "search.epochs": 12,
        "search.alpha_lr": 2e-2,
        "retrain.channels": 8,
        "retrain.head_channels": 32,
        "retrain.epochs": 30,
        "retrain.batch_size": 64,
        "retrain.drop_path": 0.0,
    },
    "small": {
        "data": "cifar10",
        "baseline": 1,
        "space.channels": 8,
        "space.widths": 2,
        "space.layers": 3,
        "space.head_channels": 64,
        "search.epochs": 3,
        "search.alpha_lr": 3e-3,
        "search.chunk_steps": 23,
        "retrain.channels": 8,
        "retrain.head_channels": 64,
        "retrain.epochs": 4,
        "retrain.batch_size": 100,
        "retrain.drop_path": 0.0,
        "retrain.chunk_steps": 50,
    },
    "paper": {
        "data": "cifar10",
        "baseline": 0,
        "search.epochs": 120,
        "search.batch_size": 48,
        "retrain.epochs": 2000,
        "retrain.lr": 0.1,
        "retrain.batch_size": 512,
        "retrain.drop_path": 0.0,
        "retrain.cutout": 16,
    },
}
"""Named sets of settings. `paper` has those of the authors' logs and README, except that they use AutoAugment in both
phases and anneal by the cosine power in retraining too."""


def space(
    *,
    classes: int,
    channels: int = 32,
    widths: int = 4,
    layers: int = 4,
    ops: tuple[str, ...] = OPS,
    head_channels: int = 768,
    affine: bool = True,
    dtype: str = "float32",
) -> SearchSpace:
    """Return the HyperCuboid search space.

    The defaults are the published grid. The authors have one softmax over all edges and operations of a level, which
    `sharp_darts` and `darts` with `mixing="joint"` do here, and leave out operations of a negligible weight, which this
    supernet computes.

    Args:
        classes: number of classes.
        channels: channels C of the least width.
        widths: how many widths W there are: C, 2 C, 4 C, ...
        layers: how often the image is halved, N; each layer has a level with stride 1 and one with stride 2.
        ops: candidate operations; `sharp_sep_conv_3x3` must be one, since it leads from every width to the head.
        head_channels: channels that the head pools.
        affine: whether batch norm has scale and bias, as in the authors' supernet.
        dtype: type of the computation, `float32` or `bfloat16`; parameters and statistics are always float32.

    Raises:
        UserError: if an argument is out of its range.
    """
    settings = dict(locals())
    check_classes(classes)
    at_least_one(channels=channels, widths=widths, layers=layers, head_channels=head_channels)
    check_ops(ops, known_ops())
    if END not in ops or len(ops) < 2:
        raise UserError(f"space.ops: expected {END!r} and at least one other operation, got {', '.join(ops)}")
    grid = Grid(layers, widths)
    network = SuperNet(grid, tuple(ops), channels, head_channels, classes, affine, arguments.dtype(dtype))
    spec = {GRID: grid.group(tuple(ops))}
    init, apply = functions.supernet(network, spec)

    def build_derived(genotype: Genotype, *, searched: bool = False, **settings: Any) -> Network:
        if searched:
            own = {"channels": channels, "head_channels": head_channels, "affine": affine, "dtype": dtype}
            settings = {**own, **settings}
        return build(genotype, classes=classes, **settings)

    def inherit(genotype: Genotype, variables: Variables) -> Variables:
        path, own = to_path(genotype), grid_of(genotype)
        if own != grid:
            raise UserError(
                f"genotype: this supernet has {layers} layers of {widths} widths, got {own.layers} of {own.widths}"
            )
        for op in path.ops:
            if op not in ops:
                raise unknown("operation of this supernet", op, ops)
        return Variables(*(_inherit(path, tree) for tree in variables))

    def check(shape: tuple[int, ...]) -> None:
        check_shape(shape, layers)

    def rebuild(**changes: Any) -> SearchSpace:
        parts = changes.pop("partial_channels", 1)
        if parts != 1:
            raise UserError(
                f"partial_channels={parts}: edges of hypercuboid change the number of channels, so that none can go "
                f"past the operations; choose another method or another space"
            )
        return space(**changed(settings, changes))

    return SearchSpace(SPACE, spec, init, apply, build_derived, inherit, check, rebuild)


def build(
    genotype: Genotype,
    *,
    classes: int,
    channels: int = 32,
    head_channels: int = 768,
    affine: bool = True,
    dtype: str = "float32",
) -> Network:
    """Return the network of a genotype; the defaults are the published one.

    Args:
        genotype: the architecture.
        classes: number of classes.
        channels: channels C of the least width.
        head_channels: channels that the head pools.
        affine: whether batch norm has scale and bias.
        dtype: type of the computation, `float32` or `bfloat16`.

    Raises:
        UserError: if the genotype or an argument is not valid.
    """
    path = to_path(genotype)
    check_classes(classes)
    at_least_one(channels=channels, head_channels=head_channels)
    module = DerivedNetwork(path, channels, head_channels, classes, affine, arguments.dtype(dtype))
    return functions.network(module, lambda shape: check_shape(shape, grid_of(genotype).layers))


def check_genotype(genotype: Genotype) -> None:
    """Raise `UserError` unless `genotype` is an architecture of this space."""
    to_path(genotype)


def check_shape(shape: tuple[int, ...], layers: int = 4) -> None:
    """Raise `UserError` unless images of `shape` (H, W, C) can be halved once a layer."""
    height, width, unit = shape[0], shape[1], 2**layers
    if height % unit or width % unit or min(height, width) < unit:
        raise UserError(
            f"images of {height}x{width}: {layers} layers need height and width to be multiples of {unit}; resize the "
            f"images or lower space.layers"
        )


def _inherit(path: Path, tree: Mapping[str, Any]) -> dict[str, Any]:
    """Pick from a supernet's parameters or statistics what the derived network keeps."""
    kept = {"stem": tree[stem_name(path.widths[0])], "end": tree[end_name(path.widths[-1])]}
    if "head" in tree:
        kept["head"] = tree["head"]
    for level, op in enumerate(path.ops, start=1):
        own = tree.get(edge_name(level, path.widths[level - 1], path.widths[level]), {}).get(op)
        if own is not None:
            kept[level_name(level)] = own
    return kept


__all__ = [
    "END",
    "OPS",
    "PRESETS",
    "Path",
    "build",
    "check_genotype",
    "check_shape",
    "named",
    "published",
    "python_source",
    "space",
    "to_genotype",
    "to_path",
]
