"""A checked request: everything of it that can be refused has been, and nothing has been written."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas import plugins
from dnas.chunks import DeviceData
from dnas.data import Dataset, load
from dnas.data.augment import check as check_augment
from dnas.devices import ONE, Devices, Wanted, choose
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.own_space import made
from dnas.run import retrain, searching, settings
from dnas.run.budget import Budget, budget, limited
from dnas.run.config import SEARCH, Config, method_of
from dnas.run.final_settings import final_settings
from dnas.run.retrain import TrainSettings
from dnas.run.searching import Searching, SearchSettings, Watch
from dnas.selection import random_genotype
from dnas.types import Network, SearchSpace, Weights

Known = Callable[[Genotype], dict[str, Any]]
"""What is known of an architecture, by name."""


class Plan(NamedTuple):
    """A checked request: everything that can be refused has been, and nothing has been written.

    Attributes:
        config: the request.
        dataset: its images.
        images: the training images on the devices.
        space: the search space, for these images.
        search: the search, in its first stage; `None` where a given genotype is trained.
        key: of everything random.
        watch: says what is known of an architecture, where something is.
        devices: where it runs.
        budget: what its architectures cost, and may cost.
    """

    config: Config
    dataset: Dataset
    images: DeviceData
    space: SearchSpace
    search: Searching | None
    key: jax.Array
    watch: Known | None = None
    devices: Devices = ONE
    budget: Budget = Budget()


def plan(
    config: Config,
    data_dir: str | None,
    *,
    like: Plan | None = None,
    watch: Known | None = None,
    devices: Wanted = None,
) -> Plan:
    """Load the data and build the space, refusing what cannot work.

    Args:
        config: the request.
        data_dir: folder of downloaded data sets.
        like: another plan on the same data and devices; the data are then not loaded again, and where only the seed
            differs, programs are not traced again.
        watch: says what is known of an architecture; goes into the metrics of each epoch and into the result.
        devices: how many devices of each process divide the minibatches: a number, `all`, or `None` for one.

    Raises:
        UserError: for data, settings or a genotype that do not fit each other.
    """
    if like is not None and like.config.data == config.data:
        dataset, images, placed = like.dataset, like.images, like.devices
    else:
        dataset, placed = load(config.data, data_dir), choose(devices)
        images = placed.everywhere(DeviceData(jnp.asarray(dataset.x_train), jnp.asarray(dataset.y_train)))
    module = plugins.find(plugins.SPACES, "space", config.space)
    space = made(
        module, classes=len(dataset.classes), shape=dataset.image_shape, **settings.group(config.values, "space")
    )
    space.check(dataset.image_shape)
    own_budget = budget(config, space, dataset.image_shape, len(dataset.classes), module.build)
    again = like is not None and like.dataset is dataset and replace(like.config, seed=config.seed) == config
    before = like.search if like is not None and again else None
    space = before.search.space if before else limited(config, space, own_budget)
    key = jax.random.key(config.seed)
    search = None
    training = train_settings(config)
    height, width, _ = dataset.image_shape
    for part in ("search", "retrain") if config.kind == SEARCH else ("retrain",):
        chosen = settings.group(config.values, part, retrain.choose)
        check_augment(retrain.choose(dataset.augment, **chosen), height, width)
    if config.kind == SEARCH:
        method = method_of(config.method)
        own = settings.group(config.values, "search", method)
        search = searching.searching(
            lambda steps: method(space, steps_per_epoch=steps, **own),
            own["epochs"],
            dataset,
            images,
            SearchSettings(**settings.group(config.values, "search", SearchSettings)),
            jax.random.fold_in(key, 0),
            _watched(space, own_budget, watch),
            placed,
            before,
        )
    finals = final_settings(config.values)
    compares = config.kind == SEARCH and finals.count > 1
    if training.epochs or compares:
        placed.check("retrain.batch_size", training.batch_size)
        share = finals.train_share if compares else 1.0
        _check_training(config, space, dataset, training, int(len(dataset.x_train) * share))
    return Plan(config, dataset, images, space, search, key, watch, placed, own_budget)


def _watched(space: SearchSpace, own: Budget, watch: Known | None) -> Watch | None:
    """Return what goes into the metrics of each epoch: what is known of an architecture, and what it costs."""
    if watch is None and not own.models:
        return None

    def told_of(genotype: Genotype, weights: Weights) -> dict[str, Any]:
        costs = {"costs": own.costs(space, genotype, weights)} if own.models else {}
        return {**(watch(genotype) if watch else {}), **costs}

    return told_of


def _check_training(
    config: Config, space: SearchSpace, dataset: Dataset, train_settings: TrainSettings, images: int
) -> None:
    """Build a network as the run will and refuse, before anything is written, what would fail then."""
    trial = config.genotype or random_genotype(space, np.random.default_rng(0))
    network = network_of(config, space, trial)
    key, x = jax.random.key(0), jax.ShapeDtypeStruct((2, *dataset.image_shape), np.float32)
    variables = jax.eval_shape(network.init, key, x)
    if train_settings.drop_path:
        # A traced rate, as in training: a space without drop path refuses it.
        jax.eval_shape(lambda v, x, rate: network.apply(v, x, train=True, key=key, drop_path=rate), variables, x, 0.5)
    if train_settings.batch_size > images:
        raise UserError(
            f"retrain.batch_size is {train_settings.batch_size}, but there are only {images} training "
            f"images: choose a smaller batch"
        )


def train_settings(config: Config) -> TrainSettings:
    """Return how a run trains networks."""
    return TrainSettings(**settings.group(config.values, "retrain", TrainSettings))


def network_of(config: Config, space: SearchSpace, genotype: Genotype) -> Network:
    """Return the network of an architecture as a run trains it."""
    module = plugins.find(plugins.SPACES, "space", config.space)
    return space.build(genotype, **settings.group(config.values, "retrain", module.build))
