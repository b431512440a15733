"""The recurrent cell of DARTS, for language models (Liu, Simonyan and Yang, arXiv:1806.09055, section 3.1.2).

State 0 of a cell is made of the token and the hidden state; each node makes one state of one earlier state, by one
operation in highway form; the mean of the nodes is the new hidden state. `x` is a window `(B, T)` of tokens, labels are
the next tokens `(B, T)`, logits are `(B, T, classes)`. The hidden state goes on from window to window inside `Stats`:
see `search_spaces.rnn.streams`.

Departures from the authors' code (quark0/darts at f276dd3, `rnn/`): a search space's `apply` has no random key, so that
dropout acts in derived networks only; the slowness penalty, weight averaging (ASGD) and windows of random length are
left out; each state has running batch-norm statistics of its own, where that code has one for all, which differs in
evaluation only; running variances are biased.
"""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from dnas import arguments
from dnas.arguments import at_least_one, check_classes, check_ops
from dnas.errors import UserError, unknown
from dnas.genotype import Genotype
from dnas.nn.mixed import all_weights
from dnas.selection.one_hot import one_hot
from dnas.types import Array, Batch, Group, Mixture, Network, Output, PRNGKey, SearchSpace, Stats, Variables
from search_spaces.rnn.cell import ACTIVATIONS, OPS, chosen, first_edge, mixed
from search_spaces.rnn.genotypes import CELL, DARTS_V1, DARTS_V2, ENAS, NAME, named, published
from search_spaces.rnn.network import Dropout, Masks, Model, check_shape
from search_spaces.rnn.streams import TRAIN, VALID, begin, marked

_PUBLISHED: Mapping[str, Any] = {
    "search.weight_lr": 20.0,
    "search.weight_lr_min": 20.0,
    "search.momentum": 0.0,
    "search.weight_decay": 5e-7,
    "search.clip_norm": 0.25,
    "search.alpha_lr": 3e-3,
    "search.alpha_beta1": 0.9,
    "retrain.lr": 20.0,
    "retrain.lr_min": 20.0,
    "retrain.momentum": 0.0,
    "retrain.weight_decay": 8e-7,
    "retrain.clip_norm": 0.25,
    "retrain.drop_path": 0.0,
}
_WITHOUT_DROPOUT: Mapping[str, Any] = {f"retrain.{name}_dropout": 0.0 for name in ("output", "hidden", "input")} | {
    "retrain.embedding_dropout": 0.0,
    "retrain.word_dropout": 0.0,
}

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "data": "digits",
        "baseline": 1,
        **_PUBLISHED,
        **_WITHOUT_DROPOUT,
        "space.units": 32,
        "space.nodes": 4,
        "search.epochs": 2,
        "search.batch_size": 32,
        "search.weight_lr_min": 2.0,
        "retrain.units": 48,
        "retrain.epochs": 3,
        "retrain.batch_size": 32,
        "retrain.lr_min": 2.0,
    },
    "small": {
        "data": "digits",
        "baseline": 1,
        **_PUBLISHED,
        **_WITHOUT_DROPOUT,
        "space.units": 96,
        "search.epochs": 10,
        "search.batch_size": 64,
        "search.weight_lr_min": 2.0,
        "retrain.units": 128,
        "retrain.epochs": 10,
        "retrain.batch_size": 64,
        "retrain.lr_min": 2.0,
    },
    "paper": {
        "data": "digits",
        "baseline": 1,
        **_PUBLISHED,
        "search.batch_size": 256,
        "retrain.epochs": 8000,
        "retrain.batch_size": 64,
    },
}
"""Named sets of settings for `experiments/rnn_text.py`: `tiny` takes minutes on a CPU, `small` has the published cell
of 8 nodes with few units, `paper` is the published protocol, meant for a GPU.

`data` is what `dnas search` would load: it knows images only, which this space refuses in one sentence.
"""


def space(
    *, classes: int, units: int = 300, nodes: int = 8, ops: tuple[str, ...] = OPS, dtype: str = "float32"
) -> SearchSpace:
    """Return the space of recurrent cells.

    Args:
        classes: size of the vocabulary.
        units: width of embeddings and states.
        nodes: nodes of the cell, which has `nodes * (nodes + 1) / 2` edges.
        ops: candidate operations; `none` may take part in the mixture but is never kept.
        dtype: type of the computation, `float32` or `bfloat16`; parameters and statistics are always float32.

    Raises:
        UserError: if an argument is out of its range.
    """
    check_classes(classes)
    at_least_one(units=units, nodes=nodes)
    check_ops(ops, OPS)
    model = Model(classes, units, nodes, norm=True, dtype=arguments.dtype(dtype))
    group = Group(
        edges=first_edge(nodes),
        ops=tuple(ops),
        nodes=tuple(tuple((first_edge(node) + source, source) for source in range(node + 1)) for node in range(nodes)),
        keep=1,
        concat=tuple(range(1, nodes + 1)),
    )
    spec = {CELL: group}

    def apply(variables: Variables, mixture: Mixture, x: Array, *, train: bool) -> tuple[Array, Stats]:
        choice = mixed(jnp.asarray(all_weights(mixture[CELL])), group.ops)
        return model.run(choice, group.concat, variables, x, train=train, masks=Masks())

    def build_derived(genotype: Genotype, *, searched: bool = False, **settings: Any) -> Network:
        if searched:
            none = dict.fromkeys((name.partition(".")[2] for name in _WITHOUT_DROPOUT), 0.0)
            settings = {"units": units, "dtype": dtype, "norm": True, **none, **settings}
        return build(genotype, classes=classes, **settings)

    def inherit(genotype: Genotype, variables: Variables) -> Variables:
        check_genotype(genotype)
        # Raises for what this supernet does not have; all that it has is shared by its edges, so all is kept.
        one_hot(spec, genotype)
        return variables

    return SearchSpace(NAME, spec, model.init, apply, build_derived, inherit, check_shape)


def build(
    genotype: Genotype,
    *,
    classes: int,
    units: int = 850,
    output_dropout: float = 0.75,
    hidden_dropout: float = 0.25,
    input_dropout: float = 0.75,
    embedding_dropout: float = 0.2,
    word_dropout: float = 0.1,
    norm: bool = False,
    dtype: str = "float32",
) -> Network:
    """Return the language model of a genotype; the defaults are those of the published network for PTB.

    Args:
        genotype: the architecture.
        classes: size of the vocabulary.
        units: width of embeddings and states.
        output_dropout: rate of the cell's outputs, before the decoder.
        hidden_dropout: rate of the states, before each product in the cell.
        input_dropout: rate of the embeddings that enter the cell.
        embedding_dropout: rate of the embeddings, before.
        word_dropout: rate of whole tokens of the vocabulary.
        norm: whether states are normalised as in the supernet.
        dtype: type of the computation, `float32` or `bfloat16`.

    Raises:
        UserError: if the genotype or an argument is not valid.
    """
    check_genotype(genotype)
    check_classes(classes)
    at_least_one(units=units)
    rates = Dropout(output_dropout, hidden_dropout, input_dropout, embedding_dropout, word_dropout)
    for name, rate in rates._asdict().items():
        if not 0 <= rate < 1:
            raise UserError(f"dropout of {name}: expected a rate of at least 0 and less than 1, got {rate}")
    cell = genotype[CELL]
    model = Model(classes, units, len(cell.nodes), norm, arguments.dtype(dtype))

    def apply(
        variables: Variables, x: Array, *, train: bool, key: PRNGKey | None = None, drop_path: Array | float = 0.0
    ) -> tuple[Output, Stats]:
        if not (isinstance(drop_path, int | float) and drop_path == 0):
            raise UserError("networks of rnn have no drop path: set retrain.drop_path=0")
        masks = model.masks(key, x.shape[0], rates) if train else Masks()
        logits, stats = model.run(chosen(cell), cell.concat, variables, x, train=train, masks=masks)
        return Output(logits), stats

    return Network(model.init, apply, model.workload)


def check_genotype(genotype: Genotype) -> None:
    """Raise `UserError` unless `genotype` is an architecture of this space."""
    names = tuple(name for name, _ in genotype.cells)
    if names != (CELL,):
        raise UserError(f"genotype: expected the cell {CELL!r}, got {', '.join(names) or 'none'}")
    cell = genotype[CELL]
    if not cell.nodes:
        raise UserError("genotype: expected at least one node, got none")
    for node, kept in enumerate(cell.nodes):
        if not kept:
            raise UserError(f"genotype, node {node}: expected an incoming edge, got none")
        for edge in kept:
            if edge.op not in ACTIVATIONS:
                raise UserError(f"genotype, node {node}: {unknown('operation', edge.op, ACTIVATIONS)}")
            if not 0 <= edge.source <= node:
                raise UserError(f"genotype, node {node}: expected a source from 0 to {node}, got {edge.source}")
    if not cell.concat or not all(0 <= state <= len(cell.nodes) for state in cell.concat):
        raise UserError(
            f"genotype: expected 'concat' to name states from 0 to {len(cell.nodes)}, got {list(cell.concat)}"
        )


def example(classes: int) -> Batch:
    """Return a minibatch of the kind that this space takes, which is not the images that are usual."""
    window = jnp.arange(15, dtype=jnp.int32).reshape(3, 5) % classes
    return Batch(window[:, :-1], window[:, 1:])


__all__ = [
    "DARTS_V1",
    "DARTS_V2",
    "ENAS",
    "OPS",
    "PRESETS",
    "TRAIN",
    "VALID",
    "begin",
    "build",
    "check_genotype",
    "check_shape",
    "example",
    "marked",
    "named",
    "published",
    "space",
]
