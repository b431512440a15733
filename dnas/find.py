"""The whole of a search in one call, for any space, task and data: search, choose, train, compare."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnas.finding.found import Asked, Costs, Data, Found, Method, Optimizer
from dnas.methods.darts import darts
from dnas.types import SearchSpace

if TYPE_CHECKING:
    from dnas.run.interrupt import Stop

__all__ = ["Found", "find"]


def find(
    space: SearchSpace,
    data: Data | tuple[Any, Any],
    method: Method = darts,
    *,
    epochs: int = 50,
    batch_size: int | None = None,
    seed: int = 0,
    train_epochs: int | None = None,
    train_lr: float = 1e-3,
    optimizer: Optimizer | None = None,
    with_valid: bool = False,
    baseline: int = 1,
    finalists: int = 0,
    finalist_epochs: int = 12,
    costs: Costs | None = None,
    directory: str | Path | None = None,
    checkpoint_epochs: int = 1,
    chunk_steps: int | None = None,
    progress: bool = True,
    stop: "Stop | None" = None,
    **settings: Any,
) -> Found:
    """Search a space on data, train what was found from scratch, and random architectures likewise to compare.

    The task is the space's. Many steps run on the device at once; the host looks at a search between epochs. With a
    `directory`, all that is needed to go on is kept in it: a call with the same arguments goes on where the one before
    was stopped, however that came about, and ends in the same bits on the same machine; a call of which all is done
    returns what was found.

    Args:
        space: what may be chosen, and for which task.
        data: what `dnas.data.arrays`, `whole`, `iterators` or `grain` return, or a pair `(x, y)` of arrays.
        method: how it is searched; any of this library, or `(space, *, epochs, steps_per_epoch) -> Search`.
        epochs: passes over the training examples in the search.
        batch_size: examples in a minibatch of arrays; `None`: 64, or as many as the smaller part has.
        seed: of everything random, but for the division of arrays, which is the data's.
        train_epochs: passes in training a network; `None`: as many as in the search; 0 trains none.
        train_lr: greatest learning rate of that training's Adam, which falls to 0 along a cosine.
        optimizer: `(steps) -> optax.GradientTransformation`, instead of that Adam.
        with_valid: whether networks are trained on the validation examples too, and then scored on test data alone.
        baseline: random architectures to train; none where no network is trained.
        finalists: of so many architectures that the search thinks most of, each trained for a while without validation
            examples, the one that then is best on these is kept; 0 keeps the search's own choice.
        finalist_epochs: passes in each of these trainings.
        costs: `(genotype) -> {name: cost}`: asked of the found and of the random architectures.
        directory: where checkpoints and metrics go; `None` keeps nothing.
        checkpoint_epochs: epochs between checkpoints.
        chunk_steps: steps that run on the device at once; `None`: an epoch of arrays, 16 of other data.
        progress: whether progress is printed, with the time that is left.
        stop: asked after each chunk whether to stop (`dnas.run.interrupt`); `None` never does.
        **settings: of the method, such as `alpha_lr`.

    Raises:
        UserError: for data, settings or a task that do not fit each other, or a directory that began with others.
        Diverged: if a loss became NaN or infinite.
        Interrupted: if `stop` said so.
    """
    # What a run needs beside JAX takes seconds to import, which whoever only composes a search need not wait for.
    from dnas.finding.process import process

    return process(
        Asked(
            space=space,
            data=data,
            method=method,
            settings=settings,
            epochs=epochs,
            batch_size=batch_size,
            seed=seed,
            train_epochs=epochs if train_epochs is None else train_epochs,
            train_lr=train_lr,
            optimizer=optimizer,
            with_valid=with_valid,
            baseline=baseline,
            finalists=finalists,
            finalist_epochs=finalist_epochs,
            costs=costs,
            directory=directory,
            checkpoint_epochs=checkpoint_epochs,
            chunk_steps=chunk_steps,
            progress=progress,
            stop=stop,
        )
    )
