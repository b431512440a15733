"""A run's retrained network, read back from its directory with the data that it was trained on."""

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import jax
import numpy as np

from dnas import plugins
from dnas.checkpoint import load_tree
from dnas.data import Dataset, fingerprint, load
from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.own_space import made
from dnas.run import settings
from dnas.run.config import Config
from dnas.run.directory import CONFIG, RESULT, RunDirectory
from dnas.types import Network, SearchSpace, Variables


class Trained(NamedTuple):
    """A trained network and where it comes from.

    Attributes:
        path: the run directory.
        config: what the run was asked for.
        written: `config.json`, with the command, the environment and the data set's fingerprint.
        result: `result.json`.
        dataset: the run's images.
        module: its search space's module.
        space: its search space.
        genotype: the architecture.
        network: the network, which computes in float32.
        variables: its weights and running statistics.
    """

    path: Path
    config: Config
    written: dict[str, Any]
    result: dict[str, Any]
    dataset: Dataset
    module: ModuleType
    space: SearchSpace
    genotype: Genotype
    network: Network
    variables: Variables

    @property
    def building(self) -> dict[str, Any]:
        """The settings that the network was built with, but for its type."""
        return _building(self.config, self.module)


def read_trained(path: Path, data_dir: str | None) -> Trained:
    """Read the network that a run trained in the end.

    Args:
        path: the run directory.
        data_dir: folder of downloaded data sets.

    Raises:
        UserError: if it is no directory of a finished run with a trained network, if a file is damaged, or if the data
            set is not the one that the run had.
    """
    run = RunDirectory.open(path)
    written = run.read(CONFIG)
    if not run.has(RESULT):
        kind = written.get("kind", "search")
        raise UserError(f"the run {str(path)!r} is not finished: continue it with dnas {kind} --resume {path}")
    result = run.read(RESULT)
    try:
        config = Config.from_json({**written, "data": written["data"]["name"]})
        expected, trained = written["data"]["fingerprint"], result["retrain"]
        genotype = Genotype.from_json(result["genotype"])
    except (KeyError, TypeError) as error:
        raise UserError(
            f"the run {str(path)!r} is damaged ({type(error).__name__}: {error}): start a new run"
        ) from None
    if not trained:
        raise UserError(
            f"the run {str(path)!r} trained no network (retrain.epochs=0): train its architecture with "
            f"dnas train {path / 'genotype.json'} and export that run"
        )
    dataset = load(config.data, data_dir)
    if fingerprint(dataset) != expected:
        raise UserError(
            f"the data set {config.data!r} differs from the one that {str(path)!r} was trained on: give the same data, "
            f"with --data-dir where it was downloaded"
        )
    module = plugins.find(plugins.SPACES, "space", config.space)
    own = settings.group(config.values, "space")
    space = made(module, classes=len(dataset.classes), shape=dataset.image_shape, **own)
    network = space.build(genotype, **_building(config, module))
    example = jax.ShapeDtypeStruct((2, *dataset.image_shape), np.float32)
    variables = _variables(path / "model", jax.eval_shape(network.init, jax.random.key(0), example))
    return Trained(path, config, written, result, dataset, module, space, genotype, network, variables)


def _variables(path: Path, shapes: Variables) -> Variables:
    """Read weights onto one device of this machine, whatever they were trained on."""
    place = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    like = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=place), shapes)
    tree = load_tree(path, {"params": like.params, "stats": like.stats})
    return Variables(*(jax.tree.map(np.asarray, tree[name]) for name in ("params", "stats")))


def _building(config: Config, module: ModuleType) -> dict[str, Any]:
    """Return the network's own settings; parameters are float32, and so is what is computed after an export."""
    own = settings.group(config.values, "retrain", module.build)
    return {**own, "dtype": "float32"} if "dtype" in own else own


def without_limits(config: Config, hardware: tuple[str, ...]) -> Config:
    """Return the same request on other hardware, without any limits."""
    return replace(config, hardware=hardware, limits=())
