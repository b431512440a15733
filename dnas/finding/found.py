"""What is asked of `dnas.find`, and what it returns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import optax

from dnas.data.arrays import Arrays
from dnas.data.reader import Streams
from dnas.data.whole import Whole
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.types import Network, Search, SearchSpace, SearchState, Variables, Weights

if TYPE_CHECKING:
    from dnas.run.interrupt import Stop

Data = Arrays | Whole | Streams
"""What `dnas.data.arrays`, `whole`, `iterators` and `grain` return."""
Method = Callable[..., Search]
"""`(space, *, epochs, steps_per_epoch, **settings) -> Search`, such as `dnas.darts`."""
Optimizer = Callable[[int], optax.GradientTransformation]
"""`(steps) -> optimiser` of a training of so many steps."""
Costs = Callable[[Genotype], Mapping[str, float]]
"""`(genotype) -> {name: cost}`, in any units."""


class Asked(NamedTuple):
    """The arguments of `dnas.find`, where they are explained."""

    space: SearchSpace
    data: Any
    method: Method
    settings: Mapping[str, Any]
    epochs: int
    batch_size: int | None
    seed: int
    train_epochs: int
    train_lr: float
    optimizer: Optimizer | None
    with_valid: bool
    baseline: int
    finalists: int
    finalist_epochs: int
    costs: Costs | None
    directory: str | Path | None
    checkpoint_epochs: int
    chunk_steps: int | None
    progress: bool
    stop: "Stop | None"


class Trained(NamedTuple):
    """A network that was trained from scratch.

    Attributes:
        genotype: its architecture.
        network: the network.
        variables: its weights.
        scores: for each part of the data (`valid`, `test`) the task's metrics and the `loss` on all of it.
        history: an entry for each epoch of the training.
        seconds: that the training took.
        costs: what the architecture costs, where that was asked for.
    """

    genotype: Genotype
    network: Network
    variables: Variables
    scores: Mapping[str, Mapping[str, float]]
    history: tuple[Mapping[str, Any], ...]
    seconds: float
    costs: Mapping[str, float]


@dataclass(frozen=True)
class Found:
    """What a search found, and how good it is.

    Attributes:
        genotype: the architecture.
        network: the network that stands alone.
        variables: its trained weights; `None` where none was trained.
        scores: for each part of the data (`valid`, `test`) the task's metrics and the `loss` of the trained network.
            The validation data have helped to choose the architecture; the test data have had no say.
        baseline: random architectures, trained in the same way from the same key on the same minibatches.
        history: an entry for each epoch of the search: losses, the task's first metric, weights, genotype.
        training: an entry for each epoch of the network's training.
        costs: what the architecture costs, where that was asked for.
        seconds: of the search.
        metric: the task's first metric, by which results are judged.
        larger_is_better: whether a larger value of it is a better one.
        search: the search, in its last stage.
        state: the state that it ended in.
        finalists: what was trained for a while before one architecture was kept, that one first; empty without any.
    """

    genotype: Genotype
    network: Network
    variables: Variables | None
    scores: Mapping[str, Mapping[str, float]]
    baseline: tuple[Trained, ...]
    history: tuple[Mapping[str, Any], ...]
    training: tuple[Mapping[str, Any], ...]
    costs: Mapping[str, float]
    seconds: float
    metric: str
    larger_is_better: bool
    search: Search
    state: SearchState
    finalists: tuple[Trained, ...] = ()

    def __str__(self) -> str:
        """The architecture, and its scores beside those of the random ones."""
        from dnas.finding.shown import words

        return words(self)

    def _repr_html_(self) -> str:
        """The architecture as a picture, and the scores, in a notebook."""
        return f"{self.genotype._repr_html_()}<pre>{escape(str(self))}</pre>"

    @property
    def weights(self) -> Weights:
        """The operation weights that the search ended with."""
        return self.search.weights(self.state)

    def predict(self, x: Any) -> Any:
        """Return the trained network's outputs for inputs in the form of the data's; `UserError` where none was."""
        if self.variables is None:
            raise UserError("no network was trained, which predict needs: give dnas.find train_epochs of 1 or more")
        return self._program(self.variables, x)

    @cached_property
    def _program(self) -> Callable[[Variables, Any], Any]:
        return jax.jit(lambda variables, x: self.network.apply(variables, x, train=False)[0].logits)
