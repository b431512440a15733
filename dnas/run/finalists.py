"""A search may end with a comparison by training: of its finalists, the one that is best after a while is kept.

What a search says of architectures, by operation weights, a supernet or proxies, puts the best of them in order badly,
but finds them: among ten that it thinks most of there is often one much better than its first choice. Training each for
a few epochs, on a part of the training images, tells which.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas.chunks import DeviceData
from dnas.data.sampling import split
from dnas.genotype import Genotype
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory
from dnas.run.final_settings import final_settings
from dnas.run.interrupt import Stop
from dnas.run.planning import Plan
from dnas.run.trained import trained


def trial(plan: Plan) -> Plan:
    """Return the request to train a finalist: on a part of the training images, judged on the others."""
    own, dataset = final_settings(plan.config.values), plan.dataset
    parts = split(jax.random.fold_in(plan.key, 2), len(dataset.x_train), own.train_share, shuffle=True)
    train, valid = (np.asarray(rows) for rows in parts)
    values = {**plan.config.values, "retrain.epochs": own.epochs, "retrain.eval_epochs": own.epochs}
    images = DeviceData(jnp.asarray(dataset.x_train[train]), jnp.asarray(dataset.y_train[train]))
    return plan._replace(
        config=replace(plan.config, values=values),
        dataset=dataset._replace(
            x_train=dataset.x_train[train],
            y_train=dataset.y_train[train],
            x_test=dataset.x_train[valid],
            y_test=dataset.y_train[valid],
        ),
        images=plan.devices.everywhere(images),
    )


def compared(
    run: RunDirectory,
    plan: Plan,
    progress: dict[str, Any],
    finalists: Sequence[Genotype],
    screen: Screen,
    stop: Stop,
) -> list[dict[str, Any]]:
    """Train each finalist for a while; return what came of it, the best first, of equals the earlier one.

    Arguments and errors as for `trained`.
    """
    shortly, count = trial(plan), len(finalists)
    rows = []
    for index, genotype in enumerate(finalists):
        title = f"finalist {index + 1} of {count}"
        row = trained(run, shortly, progress, f"finalist-{index}", title, genotype, screen, stop, "valid")
        rows.append({"genotype": genotype.to_json(), "place": index + 1, **row})
    less = plan.space.task is not None and not plan.space.task.larger_is_better
    return sorted(rows, key=lambda row: row["valid_accuracy"] * (1 if less else -1))


def kept(rows: Sequence[dict[str, Any]]) -> str:
    """Return in a sentence which of compared finalists, the best first, is kept."""
    best, first = rows[0], next(row for row in rows if row["place"] == 1)
    epochs = f"{best['epochs']} epoch{'s' if best['epochs'] != 1 else ''}"
    said = f"kept the finalist of validation accuracy {100 * best['valid_accuracy']:.2f} % after {epochs}"
    if best is first:
        return f"{said}, the search's own choice"
    return (
        f"{said}, number {best['place']} of the search, whose own choice reached {100 * first['valid_accuracy']:.2f} %"
    )
