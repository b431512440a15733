"""Training a derived network from scratch: its settings, and the phase that does it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.chunks import DeviceData, Source, evaluation, train_chunk
from dnas.data.dataset import Augment, Dataset
from dnas.data.sampling import steps_per_epoch
from dnas.devices import ONE, Devices
from dnas.errors import UserError
from dnas.optimizers import clipped_sgd, cosine_by_epoch
from dnas.run.loop import run_once
from dnas.run.phase import Finished, Phase
from dnas.scoring import scorer
from dnas.train import Training, TrainState, supervised
from dnas.types import Array, Network, PRNGKey, Task


@dataclass(frozen=True)
class TrainSettings:
    """How a derived network is trained; the defaults are the published CIFAR-10 protocol.

    Attributes:
        epochs: passes over the training images; 0 trains no network after the search.
        batch_size: images in a minibatch.
        lr: learning rate of the first epoch.
        lr_min: where its cosine ends.
        momentum: of SGD.
        weight_decay: L2 coefficient.
        clip_norm: largest global norm of the gradient; 0 does not clip.
        nesterov: whether momentum is Nesterov's.
        drop_path: probability of drop path at the end; it grows linearly from 0.
        auxiliary_weight: factor of the auxiliary head's loss.
        crop_padding: pixels of padding before a random crop; none takes the data set's own.
        flip: whether images are mirrored at random; none takes the data set's own.
        cutout: side of the square cut out; none takes the data set's own.
        eval_epochs: epochs between evaluations on the test images, for the curve.
        chunk_steps: steps that run on the device at once; 0 is a whole epoch.
        checkpoint_epochs: epochs between checkpoints.
    """

    epochs: int = 600
    batch_size: int = 96
    lr: float = 0.025
    lr_min: float = 0.0
    momentum: float = 0.9
    weight_decay: float = 3e-4
    clip_norm: float = 5.0
    nesterov: bool = False
    drop_path: float = 0.2
    auxiliary_weight: float = 0.4
    crop_padding: int | None = None
    flip: bool | None = None
    cutout: int | None = None
    eval_epochs: int = 1
    chunk_steps: int = 0
    checkpoint_epochs: int = 1


class Retraining(NamedTuple):
    """A prepared training of one network.

    Attributes:
        phase: its phase of the run.
        network: the network.
        training: its step.
        accuracy: `(state) -> ` the accuracy on the images that it is judged on.
        part: what these are called: `test`, or `valid` where they are none of the data set's test images.
    """

    phase: Phase
    network: Network
    training: Training
    accuracy: Callable[[TrainState], float]
    part: str


def choose(own: Augment, crop_padding: int | None, flip: bool | None, cutout: int | None) -> Augment:
    """Return the data set's augmentation with the settings that are not `None` in place."""
    return Augment(
        own.crop_padding if crop_padding is None else crop_padding,
        own.flip if flip is None else flip,
        own.cutout if cutout is None else cutout,
    )


def check_numbers(prefix: str, values: dict[str, Any]) -> None:
    """Raise `UserError` for a setting outside its range: sizes at least 1, shares below 1, nothing negative."""
    least_one = ("epochs", "batch_size", "checkpoint_epochs", "eval_epochs")
    shares = ("momentum", "drop_path", "alpha_beta1", "alpha_beta2")
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            continue
        if name in least_one and value < 1 and (prefix, name) != ("retrain", "epochs"):
            raise UserError(f"setting {prefix}.{name}: expected at least 1, got {value}")
        if value < 0:
            raise UserError(f"setting {prefix}.{name}: expected a number that is not negative, got {value}")
        if name in shares and value >= 1:
            raise UserError(f"setting {prefix}.{name}: expected less than 1, got {value}")
        if name in ("lr", "weight_lr", "alpha_lr") and value == 0:
            raise UserError(f"setting {prefix}.{name}: expected more than 0, got {value}")


def chunk_length(prefix: str, chunk_steps: int, per_epoch: int) -> int:
    """Return the length of a chunk; 0 stands for the whole epoch, and no chunk is longer."""
    if chunk_steps < 0:
        raise UserError(f"setting {prefix}.chunk_steps: expected 0 or more, got {chunk_steps}")
    return min(chunk_steps or per_epoch, per_epoch)


def retraining(
    name: str,
    title: str,
    network: Network,
    dataset: Dataset,
    images: DeviceData,
    settings: TrainSettings,
    key: PRNGKey,
    devices: Devices = ONE,
    task: Task | None = None,
    part: str = "test",
) -> Retraining:
    """Prepare the training of `network` on all training images of `dataset`, which are `images` on the devices.

    Where the outputs are for another `task` than classification, the accuracy is that task's first metric. It is of the
    data set's test images, which `part` names in what is written.
    """
    size = len(dataset.x_train)
    if settings.batch_size > size:
        raise UserError(f"retrain.batch_size is {settings.batch_size}, but there are only {size} training images")
    devices.check("retrain.batch_size", settings.batch_size)
    per_epoch = steps_per_epoch(size, settings.batch_size)

    def drop_path(step: Array) -> Array:
        return settings.drop_path * (step // per_epoch).astype(jnp.float32) / settings.epochs

    schedule = cosine_by_epoch(settings.lr, settings.lr_min, settings.epochs, per_epoch)
    optimizer = clipped_sgd(schedule, settings.momentum, settings.weight_decay, settings.clip_norm, settings.nesterov)
    training = supervised(
        network,
        optimizer,
        drop_path=drop_path if settings.drop_path else 0.0,
        auxiliary_weight=settings.auxiliary_weight,
        task=task,
    )
    augment = choose(dataset.augment, settings.crop_padding, settings.flip, settings.cutout)
    source = Source(size, settings.batch_size, augment, dataset.mean, dataset.std, devices)
    chunk = train_chunk(training, source, per_epoch, chunk_length("retrain", settings.chunk_steps, per_epoch))
    key_init, key_run = jax.random.split(key)
    example = jnp.zeros((2, *dataset.image_shape))
    test = devices.everywhere(DeviceData(jnp.asarray(dataset.x_test), jnp.asarray(dataset.y_test)))
    at_once = -(-min(250, len(dataset.y_test)) // devices.count) * devices.count
    count = devices.jit(evaluation(training.predict, dataset, at_once, devices))

    def accuracy(state: TrainState) -> float:
        if task is None:
            return int(count(state, test)) / len(dataset.y_test)
        rows = jnp.arange(len(dataset.y_test))
        batches = (source.plain(test, rows[first : first + at_once]) for first in range(0, len(rows), at_once))
        return next(iter(scorer(training.predict, task)(devices.here(state), batches).values()))

    def record(state: TrainState, epoch: int) -> dict[str, Any]:
        line: dict[str, Any] = {"learning_rate": float(schedule(np.int32((epoch - 1) * per_epoch)))}
        if epoch % settings.eval_epochs == 0 or epoch == settings.epochs:
            line[f"{part}_accuracy"] = accuracy(state)
        return line

    phase = Phase(
        name=name,
        title=title,
        epochs=settings.epochs,
        chunk=chunk,
        init=lambda: run_once(training.init, key_init, example),
        arguments=(devices.everywhere(key_run), images),
        images_per_step=settings.batch_size,
        checkpoint_epochs=settings.checkpoint_epochs,
        record=record,
        devices=devices,
    )
    return Retraining(phase, network, training, accuracy, part)


def outcome(prepared: Retraining, finished: Finished, dataset: Dataset, epochs: int) -> dict[str, Any]:
    """Return what `result.json` says of a trained network."""
    size = prepared.network.workload(dataset.image_shape)
    return {
        "params": size.params,
        "macs": size.macs,
        "epochs": epochs,
        "train_seconds": round(finished.seconds, 2),
        "compile_seconds": round(finished.compile_seconds, 2),
        f"{prepared.part}_accuracy": prepared.accuracy(finished.state),
        f"{prepared.part}_images": len(dataset.y_test),
    }
