"""What the outputs of a network are for: the usual tasks as values, and what a search reads off one.

A task is a `dnas.types.Task`: a loss and metrics as functions of outputs and batch, so that another one is two
functions of the user's own. Where only some targets count, such as the labelled nodes of a graph, a batch's `y` is
`Masked(values, mask)`, which all tasks of this file understand.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dnas.errors import UserError
from dnas.losses import accuracy, bits, cross_entropy
from dnas.types import Array, Batch, SearchSpace, Task


class Masked(NamedTuple):
    """Targets of which only some count.

    Attributes:
        values: `(...)` targets; what stands where the mask is 0 has no influence.
        mask: `(...)` booleans, or weights that are not negative, of the shape of the targets.
    """

    values: Array
    mask: Array


def classification() -> Task:
    """Return the classification of each row of logits `(..., classes)` by an integer label `(...)`.

    The loss is the mean cross entropy in nats, the metric `accuracy` the share of rows whose largest logit is the
    label's. Targets may be `Masked`.
    """

    def metrics(outputs: Any, batch: Batch) -> dict[str, Array]:
        return {"accuracy": _accuracy(outputs, batch)}

    return Task(_cross_entropy, metrics, weight=_counted)


def next_token() -> Task:
    """Return the prediction of the next token: logits `(B, T, tokens)` against integer tokens `(B, T)`.

    The loss is that of `classification`; results are judged by `bits`, the mean cross entropy in bits (of characters,
    bits per character), of which less is better, and `accuracy` is told too. Targets may be `Masked`, for windows that
    are not all full.
    """

    def metrics(outputs: Any, batch: Batch) -> dict[str, Array]:
        return {"bits": bits(_cross_entropy(outputs, batch)), "accuracy": _accuracy(outputs, batch)}

    return Task(_cross_entropy, metrics, larger_is_better=False, weight=_counted)


def regression() -> Task:
    """Return the regression of numbers: predictions against targets `(...)` of the same shape.

    The loss is the mean squared error; the metrics are the same as `mse`, by which results are judged, and the mean
    absolute error `mae`, both in the targets' units, squared and plain. Predictions may have one more axis, of length
    1, as that of a dense layer. Targets may be `Masked`.
    """

    def loss(outputs: Any, batch: Batch) -> Array:
        return _mean(jnp.square(_difference(outputs, batch)), batch)

    def metrics(outputs: Any, batch: Batch) -> dict[str, Array]:
        difference = _difference(outputs, batch)
        return {"mse": _mean(jnp.square(difference), batch), "mae": _mean(jnp.abs(difference), batch)}

    return Task(loss, metrics, larger_is_better=False, weight=_counted)


def task_of(space: SearchSpace) -> Task:
    """Return the task of a space."""
    return classification() if space.task is None else space.task


def scalar_loss(task: Task, outputs: Any, batch: Batch) -> Array:
    """Return the task's loss.

    Raises:
        UserError: if it is not a scalar.
    """
    loss = jnp.asarray(task.loss(outputs, batch))
    if loss.shape != ():
        raise UserError(
            f"the task's loss has shape {loss.shape}, expected (): let it return the mean over the batch, one number"
        )
    return loss


def all_metrics(task: Task, outputs: Any, batch: Batch) -> dict[str, Array]:
    """Return all metrics of the task as float32 scalars, in their order.

    Raises:
        UserError: if there is none, or one is not a scalar.
    """
    found = {name: jnp.asarray(value) for name, value in task.metrics(outputs, batch).items()}
    if not found:
        raise UserError("the task has no metrics, expected at least one: let it return {name: mean over the batch}")
    for name, value in found.items():
        if value.shape != ():
            raise UserError(
                f"the task's metric {name!r} has shape {value.shape}, expected (): let it return one number, the mean "
                f"over the batch"
            )
    return {name: value.astype(jnp.float32) for name, value in found.items()}


def metric_names(task: Task, outputs: Any, batch: Batch) -> tuple[str, ...]:
    """Return the names of the task's metrics, in their order; loss and metrics are traced, and computed no more.

    Args:
        task: the task.
        outputs: a pytree of arrays, or of their shapes and types.
        batch: likewise.

    Raises:
        UserError: if the loss or a metric is not a scalar, or there is no metric.
    """
    names: list[str] = []

    def trace(outputs: Any, batch: Batch) -> None:
        scalar_loss(task, outputs, batch)
        # A dictionary that comes out of a trace is sorted by name.
        names.extend(all_metrics(task, outputs, batch))

    jax.eval_shape(trace, outputs, batch)
    return tuple(names)


def first_metric(task: Task, outputs: Any, batch: Batch) -> Array:
    """Return the metric that results are judged by, as a float32 scalar."""
    return next(iter(all_metrics(task, outputs, batch).values()))


def batch_weight(task: Task, batch: Batch) -> Array | float:
    """Return how much a batch's loss and metrics count among those of other batches.

    It is a number where shapes alone say so, which is then the same for all batches of these shapes.
    """
    weight = len(jax.tree.leaves(batch.y)[0]) if task.weight is None else task.weight(batch)
    return float(weight) if isinstance(weight, int | float) else jnp.asarray(weight, jnp.float32)


def _cross_entropy(outputs: Any, batch: Batch) -> Array:
    if not isinstance(batch.y, Masked):
        return cross_entropy(outputs, batch.y)
    # A label outside of the mask may be anything, such as -1.
    labels = jnp.where(_mask(batch.y) > 0, batch.y.values, 0)
    return _mean(optax.softmax_cross_entropy_with_integer_labels(outputs.astype(jnp.float32), labels), batch)


def _accuracy(outputs: Any, batch: Batch) -> Array:
    if not isinstance(batch.y, Masked):
        return accuracy(outputs, batch.y)
    return _mean((jnp.argmax(outputs, axis=-1) == batch.y.values).astype(jnp.float32), batch)


def _difference(outputs: Any, batch: Batch) -> Array:
    """Return predictions less targets, 0 where the mask is."""
    masked = isinstance(batch.y, Masked)
    wanted = batch.y.values if masked else batch.y
    found = outputs[..., 0] if outputs.shape == (*wanted.shape, 1) else outputs
    if found.shape != wanted.shape:
        raise UserError(
            f"a regression got predictions of shape {outputs.shape} for targets of shape {wanted.shape}: give the "
            f"network one output for each target"
        )
    difference = found.astype(jnp.float32) - wanted.astype(jnp.float32)
    # Before anything is squared: what stands outside of the mask may be infinite.
    return jnp.where(_mask(batch.y) > 0, difference, 0.0) if masked else difference


def _mean(values: Array, batch: Batch) -> Array:
    """Return the mean of `values`, over what the mask counts where there is one; 0 where it counts nothing."""
    if not isinstance(batch.y, Masked):
        return jnp.mean(values)
    mask = _mask(batch.y)
    total = jnp.sum(jnp.where(mask > 0, mask * values, 0.0))
    return total / jnp.maximum(mask.sum(), jnp.finfo(jnp.float32).tiny)


def _mask(targets: Masked) -> Array:
    """Return the mask as float32, once it has the shape of the targets."""
    if targets.mask.shape != targets.values.shape:
        raise UserError(
            f"a mask has shape {targets.mask.shape}, expected {targets.values.shape}: give it one entry for each target"
        )
    return targets.mask.astype(jnp.float32)


def _counted(batch: Batch) -> Array | float:
    """Return how many targets count."""
    return jnp.sum(_mask(batch.y)) if isinstance(batch.y, Masked) else float(batch.y.size)
