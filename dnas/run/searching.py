"""The search phase: its settings, and how a method and a data set become a phase of a run."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.chunks import DeviceData, Source, search_chunk
from dnas.data.dataset import Dataset
from dnas.data.sampling import split, steps_per_epoch
from dnas.devices import ONE, Devices
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.hardware.limits import amount
from dnas.run.console import Screen
from dnas.run.directory import RunDirectory
from dnas.run.examination import Shown, examination
from dnas.run.interrupt import Stop
from dnas.run.loop import run_once, run_phase
from dnas.run.phase import Finished, Phase
from dnas.run.retrain import choose, chunk_length
from dnas.run.supply import Supply
from dnas.types import Array, Between, PRNGKey, Search, SearchState, Weights

Watch = Callable[[Genotype, Weights], dict[str, Any]]
"""What is known of an architecture that a search selects on its way, and of the operation weights of which it was
selected, by name: some of `KNOWN`, and `costs`."""
KNOWN = ("true_accuracy", "rank", "skips")
"""True test accuracy (a share), rank in the space (1 is best), number of skip connections."""
CHOICES = 8
"""How many choices of an architecture are named in a line on the console."""


@dataclass(frozen=True)
class SearchSettings:
    """How a search is fed; what the method itself does are its own settings.

    Attributes:
        batch_size: images in a minibatch of either level.
        train_share: share of the training images that the weights see; the architecture parameters see the others. 1
            shows all images to both, as single-level methods do.
        shuffle_split: whether that division is random; if not, the first images train the weights.
        crop_padding: pixels of padding before a random crop; none takes the data set's own.
        flip: whether images are mirrored at random; none takes the data set's own.
        cutout: side of the square cut out; none takes the data set's own.
        chunk_steps: steps that run on the device at once; 0 is a whole epoch.
        checkpoint_epochs: epochs between checkpoints.
    """

    batch_size: int = 64
    train_share: float = 0.5
    shuffle_split: bool = True
    crop_padding: int | None = None
    flip: bool | None = None
    cutout: int | None = None
    chunk_steps: int = 0
    checkpoint_epochs: int = 1


class Searching(NamedTuple):
    """A search on a run's data, or one stage of it where several programs follow one another.

    Attributes:
        search: the search.
        phase: its phase of the run.
        following: `(finished) -> Searching | None`: what goes on from the state that the phase ended in.
    """

    search: Search
    phase: Phase
    following: Callable[[Finished], "Searching | None"]


class Feed(NamedTuple):
    """What a search is fed with.

    Attributes:
        dataset: what is searched on.
        images: its training part on the devices.
        rows: indices in it of the images for the weights, and of those for the architecture parameters.
        settings: how.
        devices: what divides the minibatches.
    """

    dataset: Dataset
    images: DeviceData
    rows: tuple[Array, Array]
    settings: SearchSettings
    devices: Devices

    @property
    def per_epoch(self) -> int:
        """Steps in an epoch."""
        return steps_per_epoch(len(self.rows[0]), self.settings.batch_size)

    def sources(self) -> tuple[Source, Source]:
        """Return what minibatches of the two levels are drawn from."""
        chosen, dataset = self.settings, self.dataset
        augment = choose(dataset.augment, chosen.crop_padding, chosen.flip, chosen.cutout)
        train, valid = (
            Source(len(part), chosen.batch_size, augment, dataset.mean, dataset.std, self.devices) for part in self.rows
        )
        return train, valid

    def shown(self) -> tuple[Shown, Shown]:
        """Return the images of the two levels, as they are looked at between epochs."""
        images = self.devices.here(self.images)
        train, valid = (
            Shown(images, rows, source._replace(devices=ONE))
            for rows, source in zip(self.rows, self.sources(), strict=True)
        )
        return train, valid

    def supply(self) -> Supply:
        """Return what a search on these images is supplied with."""
        length = chunk_length("search", self.settings.chunk_steps, self.per_epoch)
        return Supply(
            per_epoch=self.per_epoch,
            batch_size=self.settings.batch_size,
            example=jnp.zeros((2, *self.dataset.image_shape)),
            chunk=lambda search: search_chunk(search, *self.sources(), self.per_epoch, length),
            arguments=lambda key: (self.devices.everywhere(key), self.images, *self.devices.everywhere(self.rows)),
            between=lambda space, key: examination(space, *self.shown(), key),
            checkpoint_epochs=self.settings.checkpoint_epochs,
            devices=self.devices,
        )


def searching(
    make: Callable[[int], Search],
    epochs: int,
    dataset: Dataset,
    images: DeviceData,
    settings: SearchSettings,
    key: PRNGKey,
    watch: Watch | None = None,
    devices: Devices = ONE,
    like: Searching | None = None,
) -> Searching:
    """Prepare a search.

    Args:
        make: `(steps_per_epoch) -> Search`.
        epochs: epochs of the search, where its course does not say otherwise.
        dataset: what is searched on; its training part is divided in two.
        images: that training part on the devices.
        settings: how.
        key: makes the split, the initial state and all minibatches.
        watch: gives further entries of each epoch's line in the metrics.
        devices: what divides the minibatches.
        like: a search that differs in its key only: its functions are taken over, so that what was traced stays so.
    """
    key_split, key_init, key_run = jax.random.split(key, 3)
    feed = Feed(dataset, images, _rows(key_split, len(dataset.x_train), settings), settings, devices)
    devices.check("search.batch_size", settings.batch_size)
    search, supply = like.search if like else make(feed.per_epoch), feed.supply()
    built = staged(search, epochs, supply, (key_init, key_run), watch)
    return built._replace(phase=built.phase._replace(chunk=like.phase.chunk)) if like else built


def staged(
    search: Search, epochs: int, supply: Supply, keys: tuple[PRNGKey, PRNGKey], watch: Watch | None = None
) -> Searching:
    """Prepare a search, and whatever follows it, on data of any kind.

    Args:
        search: the search, or the first of its stages.
        epochs: its epochs, where its course does not say otherwise.
        supply: its data.
        keys: make the initial states, and all minibatches.
        watch: gives further entries of each epoch's line in the metrics.
    """
    key_init, key_run = keys
    devices = supply.devices

    def stage(search: Search, number: int, before: Finished | None) -> Searching:
        own = jax.random.fold_in(key_init, number) if number > 1 else key_init
        phase = _phase(search, search.course.epochs or epochs, supply, (own, key_run), watch)
        between = supply.between(search.space, jax.random.fold_in(key_run, number))
        phase = phase._replace(
            title=f"search, stage {number}" if number > 1 or search.course.then else "search",
            stage=number,
            before=before and before._replace(state=None),
            **_hooks(search, between, devices),
        )

        def following(finished: Finished) -> Searching | None:
            then = search.course.then
            further = then(devices.here(finished.state), between) if then else None
            return stage(further, number + 1, finished) if further else None

        return Searching(search, phase, following)

    return stage(search, 1, None)


def to_the_end(
    run: RunDirectory, stage: Searching, finished: Finished, screen: Screen, stop: Stop
) -> tuple[Searching, Finished]:
    """Run the stages that follow one; return the last and what it left."""
    while (following := stage.following(finished)) is not None:
        stage, finished = following, run_phase(following.phase, run, screen, stop)
    return stage, finished


def _rows(key: PRNGKey, count: int, settings: SearchSettings) -> tuple[Array, Array]:
    """Divide the images among the two levels."""
    if not 0 < settings.train_share <= 1:
        raise UserError(f"setting search.train_share: expected a number between 0 and 1, got {settings.train_share}")
    rows = split(key, count, settings.train_share, settings.shuffle_split)
    if settings.train_share == 1:
        rows = (rows[0], rows[0])
    sizes = [len(part) for part in rows]
    if settings.batch_size > min(sizes):
        raise UserError(
            f"search.batch_size is {settings.batch_size}, but the images are split into {sizes[0]} for the weights "
            f"and {sizes[1]} for the architecture: choose a smaller batch"
        )
    return rows


def _phase(search: Search, epochs: int, supply: Supply, keys: tuple[PRNGKey, PRNGKey], watch: Watch | None) -> Phase:
    key_init, key_run = keys
    devices = supply.devices
    return Phase(
        name="search",
        title="search",
        epochs=epochs,
        chunk=supply.chunk(search),
        init=lambda: run_once(search.init, key_init, supply.example),
        arguments=supply.arguments(key_run),
        images_per_step=2 * supply.batch_size,
        checkpoint_epochs=supply.checkpoint_epochs,
        record=lambda state, epoch: _record(search, devices.here(state), watch),
        tell=_tell if watch else None,
        devices=devices,
        stream=supply.stream,
        unit=supply.unit,
        metric=supply.metric,
    )


def _hooks(search: Search, between: Between, devices: Devices) -> dict[str, Any]:
    """Return the phase's `turn` and `done`: those of the search's course, on one copy of the state."""
    turn, done = search.course.turn, search.course.done
    return {
        "turn": None
        if turn is None
        else lambda state, told=between.told: turn(devices.here(state), between._replace(told=told)),
        "done": None if done is None else lambda state: done(devices.here(state)),
    }


def _record(search: Search, state: SearchState, watch: Watch | None) -> dict[str, Any]:
    """Return the further entries of an epoch's line."""
    weights = {name: np.asarray(rows) for name, rows in jax.device_get(search.weights(state)).items()}
    alpha = jax.device_get(state.alpha)
    genotype = search.select(state)
    return {
        "weights": {name: _rounded(rows) for name, rows in weights.items()},
        "alpha": {name: _rounded(rows) for name, rows in alpha.items()},
        "entropy": {name: entropy(rows) for name, rows in weights.items()},
        "genotype": str(genotype),
        **(search.course.note(state) if search.course.note else {}),
        **(watch(genotype, weights) if watch else {}),  # type: ignore[arg-type]
    }


def _tell(line: dict[str, Any]) -> str:
    """Say which architecture an epoch selects and what is known of it."""
    if all(len(set(row)) == 1 for rows in line["weights"].values() for row in rows):
        return f"epoch {line['epoch']}: all operations weigh the same so far"
    known = [f"{name.replace('_', ' ')} {_shown(name, line[name])}" for name in KNOWN if name in line]
    for cost in line.get("costs", ()):
        limit = f", limit {amount(cost['limit'], cost['metric'])}" if cost["limit"] else ""
        expected = amount(cost["expected"], cost["metric"])
        known.append(f"{cost['title']} {_amount(cost)}, expected {expected}{limit}")
    words = f" ({'; '.join(known)})" if known else ""
    return f"epoch {line['epoch']}: selects {_in_short(line['genotype'])}{words}"


def _in_short(text: str) -> str:
    """Return an architecture's text on one line: its first cell, or its first choices."""
    first, *others = text.splitlines()
    if "<-" in first:
        return first.partition(" ;")[0]
    rest = f" and {len(others) + 1 - CHOICES} more" if len(others) >= CHOICES else ""
    return " ".join([first, *others][:CHOICES]) + rest


def _amount(cost: Mapping[str, Any]) -> str:
    return "cannot run" if cost["predicted"] is None else amount(cost["predicted"], cost["metric"])


def _shown(name: str, value: float) -> str:
    return f"{100 * value:.2f} %" if name.endswith("accuracy") else f"{value:,}"


def entropy(rows: np.ndarray) -> float:
    """Return the mean over edges of the entropy, in nats, of operation weights `(edges, ops)`.

    Weights that do not add up to 1 are divided by their sum.
    """
    rows = np.asarray(rows, np.float64)
    rows = rows / np.maximum(rows.sum(axis=-1, keepdims=True), 1e-30)
    return float(-(rows * np.log(np.maximum(rows, 1e-30))).sum(axis=-1).mean())


def outcome(phase: Phase, finished: Finished) -> dict[str, Any]:
    """Return what `result.json` says of the search; the accuracy is the last epoch's mean over validation batches."""
    steps = int(finished.state.step)
    return {
        "epochs": steps // phase.chunk.per_epoch,
        "steps": steps,
        "seconds": round(finished.seconds, 2),
        "compile_seconds": round(finished.compile_seconds, 2),
        "images_per_second": round(steps * phase.images_per_step / max(finished.seconds, 1e-9), 1),
        "valid_accuracy": finished.last.get("valid_accuracy"),
    }


def _rounded(values: np.ndarray) -> Any:
    """Return nested lists; architecture parameters may have one entry an edge as well as one an operation."""
    return np.round(np.asarray(values, np.float64), 6).tolist()
