"""The values that a search is composed of; nothing else lives here.

A search answers five independent questions, each with one value: *what may be chosen* (`SearchSpace`), *how do
architecture parameters become operation weights* (`Relaxation`), *what is the gradient of the validation loss with
respect to them* (`Hypergradient`), *which discrete architecture is kept* (`Selection`), and *what stands alone
afterwards* (`Network`). `dnas.search.compose` puts them together into a `Search`.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import jax
import numpy as np

from dnas.errors import UserError
from dnas.genotype import Genotype

if TYPE_CHECKING:
    from rich.table import Table

Array = jax.Array
PRNGKey = jax.Array
Params = Any
"""Pytree of trained weights; architecture parameters are never part of it."""
Stats = Any
"""Pytree of what a network carries from minibatch to minibatch: batch-norm running statistics, a hidden state."""


class Group(NamedTuple):
    """One family of edges that share an operation list.

    Attributes:
        edges: number of edges, E.
        ops: names of the K candidate operations, in the order of the columns of `alpha`.
        nodes: for each node, the edges that enter it, as `(edge, source)` pairs; empty where edges do not compete.
        keep: how many incoming edges a node keeps at discretisation; `None` keeps all.
        concat: states whose concatenation is a cell's output.
        allowed: for each edge, which of the operations it offers; `None` where every edge offers all.
        path: whether an architecture is a single path, from any of the inputs to the last node, which `concat` then
            names alone; nodes off the path keep no edge, those on it one (`keep` is 1).
    """

    edges: int
    ops: tuple[str, ...]
    nodes: tuple[tuple[tuple[int, int], ...], ...] = ()
    keep: int | None = None
    concat: tuple[int, ...] = ()
    allowed: tuple[tuple[bool, ...], ...] | None = None
    path: bool = False


Spec = Mapping[str, Group]
Alpha = Mapping[str, Array]
"""Architecture parameters, float32: one `(edges, ops)` array under the name of each group; a relaxation may add others,
such as one weight for each edge, under names of its own."""
Weights = Mapping[str, Array]
"""Operation weights after relaxation: one `(edges, ops)` array for each group."""


class Paths(NamedTuple):
    """Operation weights of which a supernet computes only some; the others count as absent, whatever they weigh.

    Attributes:
        weights: `(edges, ops)` operation weights.
        active: `(edges, P)` int32, the columns of the P operations that are computed on each edge, all different.
    """

    weights: Array
    active: Array


Mixture = Mapping[str, Array | Paths]
"""What a supernet mixes: the weights of all operations, or of a few paths, for each group."""


class Variables(NamedTuple):
    """Weights of a network, and what it carries from minibatch to minibatch."""

    params: Params
    stats: Stats


class Workload(NamedTuple):
    """Size of a network at one input shape, with batch 1.

    Attributes:
        params: trained parameters that the deployed network holds (an auxiliary head is not counted).
        macs: multiply-adds of convolutions and matrix products.
    """

    params: int
    macs: int


class Output(NamedTuple):
    """What a network computes: what its task is about, and the same of an auxiliary head where there is one.

    Logits are `(B, classes)` for images and `(B, T, classes)` for windows of T tokens; what they are for other tasks,
    such as predictions `(B,)` of a regression, or a pytree, is between the network and its `Task`.
    """

    logits: Any
    auxiliary: Any = None


class Network(NamedTuple):
    """A stand-alone network as a pair of pure functions.

    Attributes:
        init: `(key, x) -> Variables`; `x` is an example, `(B, H, W, C)` images or `(B, T)` tokens, of which only
            shape and type are used.
        apply: `(variables, x, *, train, key, drop_path) -> (Output, Stats)`; `key` is used only in training.
        workload: `(shape) -> Workload` for an input of `shape` (H, W, C) or (T,).
    """

    init: Callable[[PRNGKey, Array], Variables]
    apply: Callable[..., tuple[Output, Stats]]
    workload: Callable[[tuple[int, ...]], Workload]


class Penalty(NamedTuple):
    """How expected costs enter what the outer level minimises (`dnas.objectives`).

    Costs are arrays `(L,)`, one for each limit, in the units of their tables; what they are held against, a penalty was
    made with.

    Attributes:
        init: `() -> state`, such as the multipliers of an augmented Lagrangian.
        total: `(loss, costs, state) -> ()`, minimised instead of `loss`, which is without regularisers; differentiable
            with respect to both.
        advance: `(costs, state) -> state`, once for each step of `alpha`, with the costs before it.
        project: `(alpha, costs) -> alpha`, applied to `alpha` after each of its steps, once the relaxation has moved
            on, where `costs` is `(alpha) -> (L,)`; `None` leaves `alpha` as it is.
    """

    init: Callable[[], Any]
    total: Callable[[Array, Array, Any], Array]
    advance: Callable[[Array, Any], Any]
    project: Callable[[Alpha, Callable[[Alpha], Array]], Alpha] | None = None


class Charge(NamedTuple):
    """What a search pays for what architectures cost, and which of them it may keep (`dnas.hardware`).

    Attributes:
        costs: `(weights) -> (L,)`, expected costs under the weights that the relaxation expects of `alpha`;
            differentiable.
        penalty: how they enter the outer level.
        keep: `(space, weights, genotype) -> Genotype`: the architecture that is kept instead of the selected one, so
            that limits are kept by what is derived, and not by what was expected alone.
    """

    costs: Callable[[Weights], Array]
    penalty: Penalty
    keep: "Callable[[SearchSpace, Weights, Genotype], Genotype]"


class Task(NamedTuple):
    """What a network's outputs are for; `dnas.tasks` has the usual ones.

    Attributes:
        loss: `(outputs, batch) -> ()`, minimised by both levels and in retraining.
        metrics: `(outputs, batch) -> {name: ()}`, means over the batch; results are judged by the first.
        larger_is_better: whether a larger value of that first metric is a better one.
        weight: `(batch) -> ()`, how much the loss and the metrics of a batch count among those of others, which is
            what they are means over, such as the number of labels that are not masked; `None`: the batch's rows. A
            Python number says that it depends on shapes alone.
    """

    loss: "Callable[[Any, Batch], Array]"
    metrics: "Callable[[Any, Batch], Mapping[str, Array]]"
    larger_is_better: bool = True
    weight: "Callable[[Batch], Array | float] | None" = None


def _without_settings(**settings: Any) -> Any:
    raise UserError(
        f"this search space cannot be rebuilt with {', '.join(settings)}: give its SearchSpace a 'rebuild', or choose "
        f"a method that needs none"
    )


def _edges(genotype: Genotype) -> Hashable:
    return genotype.content


class SearchSpace(NamedTuple):
    """What may be chosen, and how a network with mixed choices computes.

    Attributes:
        name: the space's name.
        spec: the groups of edges that have architecture parameters.
        init: `(key, x) -> Variables` of the supernet.
        apply: `(variables, mixture, x, *, train) -> (logits, Stats)` of the supernet.
        build: `(genotype, **settings) -> Network`, the stand-alone derived network.
        inherit: `(genotype, variables) -> Variables`, the supernet's variables that the derived network keeps.
        check: `(shape) -> None`, raises `UserError` for an input shape (H, W, C) or (T,) that the space cannot take.
        rebuild: `(**settings) -> SearchSpace`, the same space with other settings; by default there are none.
        charge: what a search on this space pays for the cost of architectures; `None`: nothing.
        task: what the outputs are for; `None`: classification, one label for each row of logits.
        by_name: whether an operation's weights are found by its name, as `dnas.stopping.freezing` does.
        content: `(genotype) -> what genotypes of one network share`; by default the same edges, in whatever order.
    """

    name: str
    spec: Spec
    init: Callable[[PRNGKey, Array], Variables]
    apply: Callable[..., tuple[Array, Stats]]
    build: Callable[..., Network]
    inherit: Callable[[Genotype, Variables], Variables]
    check: Callable[[tuple[int, ...]], None]
    rebuild: Callable[..., "SearchSpace"] = _without_settings
    charge: Charge | None = None
    task: Task | None = None
    by_name: bool = True
    content: Callable[[Genotype], Hashable] = _edges

    def __str__(self) -> str:
        from dnas.display.text import plain

        return plain(self.__rich__())

    def __rich__(self) -> "Table":
        from dnas.display.space import space_table

        return space_table(self)

    def _repr_html_(self) -> str:
        from dnas.display.space import space_html

        return space_html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


class Relaxation(NamedTuple):
    """How architecture parameters become operation weights.

    Attributes:
        init: `(key, spec) -> (alpha, state)`.
        weights: `(key, alpha, state) -> Mixture`, what a supernet computes with in training; differentiable with
            respect to `alpha`, and random where the relaxation samples.
        expected: `(alpha, state) -> Weights`, without chance: what a selection rule and a report go by, and what the
            supernet is evaluated with.
        advance: `(key, before, after, state) -> (alpha, state)`, once a step: from the architecture parameters before
            and after their update, and the `key` with which the update's weights were drawn, to those that are kept;
            the state moves on (temperature, dropout rate, ...).
    """

    init: Callable[[PRNGKey, Spec], tuple[Alpha, Any]]
    weights: Callable[[PRNGKey, Alpha, Any], Mixture]
    expected: Callable[[Alpha, Any], Weights]
    advance: Callable[[PRNGKey, Alpha, Alpha, Any], tuple[Alpha, Any]]


class Batch(NamedTuple):
    """A minibatch: inputs `(B, ...)` and targets `(B, ...)`; either may be any pytree of arrays, such as a graph."""

    x: Any
    y: Any


class Batches(NamedTuple):
    """What one search step consumes: a minibatch for the weights and one for the architecture parameters."""

    train: Batch
    valid: Batch


class Evaluation(NamedTuple):
    """What a loss function returns beside its value: new running statistics and the outputs."""

    stats: Stats
    outputs: Any


class Objective(Protocol):
    """A loss of the two levels: returns a scalar and what came of evaluating it."""

    def __call__(
        self, params: Params, alpha: Alpha, stats: Stats, batch: Batch, key: PRNGKey
    ) -> tuple[Array, Evaluation]:
        """Return the loss, differentiable with respect to `params` and `alpha`, and what came of evaluating it."""
        ...


class Bilevel(NamedTuple):
    """The bilevel problem as a hypergradient sees it.

    Attributes:
        inner: training objective, minimised over the weights.
        outer: validation objective, minimised over the architecture parameters.
        update: `(grads, opt_state, params) -> (params, opt_state)`, the weight step *actually* taken (clipping,
            weight decay, momentum), so that an unrolled estimate differentiates through it.
    """

    inner: Objective
    outer: Objective
    update: Callable[[Params, Any, Params], tuple[Params, Any]]


class Lower(NamedTuple):
    """The lower level's state, given to a hypergradient read-only."""

    params: Params
    stats: Stats
    opt: Any


class Estimate(NamedTuple):
    """A hypergradient's answer: the gradient for `alpha`, the outer loss and its evaluation."""

    grads: Alpha
    loss: Array
    evaluation: Evaluation


class Hypergradient(NamedTuple):
    """How the gradient of the validation loss with respect to `alpha` is estimated.

    Attributes:
        init: `(params, alpha) -> state`.
        estimate: `(key, problem, lower, alpha, state, batches) -> (Estimate, state)`; every objective is evaluated
            with `key` itself, so that all see the same sampled weights.
        second_order: whether `estimate` differentiates a gradient, for which the compiler has other options.
    """

    init: Callable[[Params, Alpha], Any]
    estimate: Callable[[PRNGKey, Bilevel, Lower, Alpha, Any, Batches], tuple[Estimate, Any]]
    second_order: bool = False


Regulariser = Callable[[Alpha, Weights], Array]
"""What the architecture alone adds to the outer loss: `(alpha, weights) -> scalar`, differentiable with respect to both
arguments; `weights` are those that the relaxation expects of `alpha`."""


class Perturbation(Protocol):
    """How the operation weights of the inner level are disturbed, so that weights are learned that withstand it."""

    def __call__(self, key: PRNGKey, mixture: Mixture, loss: Callable[[Mixture], Array], step: Array) -> Mixture:
        """Return a mixture of the same form; no derivative is taken through what this function does.

        Args:
            key: for its draws only.
            mixture: what the supernet would mix.
            loss: the training minibatch's loss of a mixture at the present weights, the supernet in evaluation mode.
            step: () int32, number of steps taken before this one.
        """
        ...


class Constraint(Protocol):
    """What architecture parameters must satisfy after a step."""

    def __call__(self, alpha: Alpha, step: Array, shape: tuple[int, ...]) -> Alpha:
        """Return architecture parameters of the same form that satisfy it, or those given where it has not come to it.

        Args:
            alpha: as a step left them.
            step: () int32, number of steps taken before this one.
            shape: (H, W, C) of the images; where inputs are a pytree, a pytree of such shapes.
        """
        ...


class Freezing(Protocol):
    """Which weights are trained no further."""

    def __call__(self, memory: Any, tree: Params) -> Params:
        """Return a tree of the weights' form, of gradients or of updates, with zeros for what rests.

        Args:
            memory: the hypergradient's state, which watches the weights.
            tree: gradients or updates of all weights.
        """
        ...


Selection = Callable[[SearchSpace, Weights], Genotype]
"""Which discrete architecture is kept, given the operation weights: `(space, weights) -> Genotype`."""


class SearchState(NamedTuple):
    """Everything a search carries from step to step, as one pytree: a checkpoint is this tree.

    `memory` is what a search keeps for its turns between epochs (`Course`); steps leave it alone. `charge` is the state
    of what it pays for costs (`Charge`).
    """

    params: Params
    stats: Stats
    alpha: Alpha
    weight_opt: Any
    alpha_opt: Any
    relaxation: Any
    hypergradient: Any
    key: PRNGKey
    step: Array
    memory: Any = ()
    charge: Any = ()


class SearchInfo(NamedTuple):
    """What one search step reports, as float32 scalars: each level's loss and accuracy on its own minibatch.

    The accuracy is the first metric of the space's task: the accuracy where that is classification, else whatever the
    task is judged by, such as a squared error, of which a smaller value may be the better one.

    Where a step evaluates no validation minibatch, because the search has one level or the architecture parameters
    rest, the training values stand in place of the validation values.
    """

    train_loss: Array
    train_accuracy: Array
    valid_loss: Array
    valid_accuracy: Array


def _silent(what: str, done: int, total: int) -> None:
    del what, done, total


class Between(NamedTuple):
    """What a search may ask of its data between two epochs; called on the host.

    Attributes:
        scores: `(state, mixtures, images=None) -> (accuracies, losses)`, two `(N,)` arrays of floats: the supernet on
            the first `images` validation examples, or on all, with batch statistics, as each of N candidates mixes it.
            For each group these are weights `(N, edges, ops)`, or `Paths` with a first axis of N, of which only the
            active operations are computed. For other tasks than classification their first metric is in place of the
            accuracy, negated where smaller is better, so that larger is always better.
        batches: `(index) -> Batches`, minibatches of both levels without augmentation; the same for the same `index`.
        told: `(what, done, total) -> None`, by which long work says how far it is.
    """

    scores: Callable[..., tuple[np.ndarray, np.ndarray]]
    batches: Callable[[int], Batches]
    told: Callable[[str, int, int], None] = _silent


class Course(NamedTuple):
    """What a search does between epochs, on the host: nothing, by default.

    Everything that is decided there depends on the state and the data alone, so that an interrupted search decides the
    same again; what must be remembered is in the state's `memory`.

    Attributes:
        epochs: epochs until the search ends, counted from step 0; `None` leaves that to the caller.
        turn: `(state, between) -> SearchState` of the same structure and shapes, at the end of each epoch.
        done: `(state) -> bool`, asked at the end of each epoch, after the turn: whether to end now.
        then: `(state, between) -> Search | None`, asked where the search ends: the search that goes on from there,
            whose `init` makes the state that it begins with, and whose steps count on.
        note: `(state) -> further entries` of the epoch's line in the metrics, as JSON values, after the turn.
    """

    epochs: int | None = None
    turn: Callable[[SearchState, Between], SearchState] | None = None
    done: Callable[[SearchState], bool] | None = None
    then: Callable[[SearchState, Between], "Search | None"] | None = None
    note: Callable[[SearchState], dict[str, Any]] | None = None


def _variables(state: SearchState, genotype: Genotype) -> Variables:
    del genotype
    return Variables(state.params, state.stats)


class Search(NamedTuple):
    """A differentiable architecture search as a value.

    Attributes:
        space: the space that is searched.
        init: `(key, x) -> SearchState`; `x` is an example input, `(B, H, W, C)` images or `(B, T)` tokens.
        step: `(state, batches) -> (state, SearchInfo)`; pure, works under the caller's `jit`, `scan` and `vmap`.
        weights: `(state) -> Weights`, the present operation weights, as the relaxation expects them.
        predict: `(state, x) -> logits` of the supernet in evaluation mode.
        select: `(state) -> Genotype`; runs on the host.
        course: what happens between epochs; whoever drives the steps sees to it, as `dnas search` does.
        variables: `(state, genotype) -> Variables` of the supernet in which an architecture is found, on the host: the
            state's own, except where a state holds several supernets.
        judge: `(state, between, genotypes) -> (N,)`: what the search says of N architectures, of which larger is better
            and only the order counts; `None`: the accuracy of its supernet.
        second_order: whether a step differentiates a gradient: `dnas.compiling.compiler_options` wants to know.
        candidates: `(state, count)` -> the best architectures that the search compared, the best first, on the host;
            `None` if it compared none.
    """

    space: SearchSpace
    init: Callable[[PRNGKey, Array], SearchState]
    step: Callable[[SearchState, Batches], tuple[SearchState, SearchInfo]]
    weights: Callable[[SearchState], Weights]
    predict: Callable[[SearchState, Array], Array]
    select: Callable[[SearchState], Genotype]
    course: Course = Course()
    variables: Callable[[SearchState, Genotype], Variables] = _variables
    judge: Callable[[SearchState, Between, Sequence[Genotype]], np.ndarray] | None = None
    second_order: bool = False
    candidates: Callable[[SearchState, int], list[Genotype]] | None = None
