"""The loss and the metrics of a network on all of some data, which come in batches of any sizes."""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas.compiling import compiler_options
from dnas.errors import UserError
from dnas.tasks import all_metrics, batch_weight, scalar_loss
from dnas.types import Array, Batch, Task

LOSS = "loss"
"""The name under which the loss is told beside the metrics."""


def scorer(predict: Callable[[Any, Any], Any], task: Task) -> Callable[[Any, Iterable[Batch]], dict[str, float]]:
    """Return `(state, batches) -> {name: value}`, the metrics in the task's order and then the `loss`.

    They are means over the batches, each by its weight (`Task.weight`), and so those of the whole data in one batch,
    but for rounding, whatever the batches' sizes. A program is compiled for each shape of a batch, once.

    Args:
        predict: `(state, x) -> outputs`, in evaluation mode.
        task: what the outputs are for.

    Raises:
        UserError: when called without any batch, or with batches of which nothing counts.
    """

    names: list[str] = []

    def one(state: Any, batch: Batch) -> tuple[Array, Array]:
        outputs = predict(state, batch.x)
        values = {**all_metrics(task, outputs, batch), LOSS: scalar_loss(task, outputs, batch).astype(jnp.float32)}
        # Kept where the program is traced, since a dictionary that comes out of one is sorted by name.
        names[:] = values
        return jnp.stack(list(values.values())), jnp.asarray(batch_weight(task, batch), jnp.float32)

    program = jax.jit(one, compiler_options=compiler_options())

    def scores(state: Any, batches: Iterable[Batch]) -> dict[str, float]:
        # Fetched at the end: the device goes on while the host makes the next batch.
        seen = jax.device_get([program(state, batch) for batch in batches])
        weights = np.array([weight for _, weight in seen], np.float64)
        if not weights.sum() > 0:
            raise UserError(
                f"{len(seen)} batches hold nothing to score a network on: give at least one example whose target counts"
            )
        means = np.average(np.array([values for values, _ in seen], np.float64), axis=0, weights=weights)
        return dict(zip(names, means.tolist(), strict=True))

    return scores
