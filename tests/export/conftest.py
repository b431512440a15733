"""Small networks with weights and statistics of no particular form, and a run directory that nobody trained."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.checkpoint import save_tree
from dnas.genotype import Cell, Edge, Genotype
from dnas.run import config, pipeline, planning
from dnas.run.directory import RESULT
from dnas.selection import random_genotype
from dnas.types import Network, Variables
from search_spaces import darts, hypercuboid, nasbench201

SHAPE = (16, 16, 3)
CLASSES = 3


class Case(NamedTuple):
    """A network, what it was built from, its weights, and what it computes of `inputs`."""

    space: Any
    genotype: Genotype
    settings: dict[str, Any]
    network: Network
    variables: Variables
    expected: np.ndarray


def _shaken(shapes: Any, seed: int = 0) -> Any:
    """Return variables of these shapes, with statistics, scales and biases that are not those of a new network."""
    rng = np.random.default_rng(seed)

    def draw(path: Any, leaf: Any) -> np.ndarray:
        name = path[-1].key
        if name == "var":
            return rng.uniform(0.3, 2, leaf.shape).astype(np.float32)
        width = (1 / np.prod(leaf.shape[:-1])) ** 0.5 if name == "kernel" else 0.3
        return np.asarray((name == "scale") + width * rng.standard_normal(leaf.shape), np.float32)

    return jax.tree_util.tree_map_with_path(draw, shapes)


OPS = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "conv_7x1_1x7",
    "nor_conv_3x3",
    "nor_conv_1x1",
    "dil_conv_5x5",
    "sharp_dil_flood_conv_3x3",
    "sharp_choke_conv_3x3",
)
"""One operation of each form."""


def every_operation() -> Genotype:
    """Return an architecture of the DARTS space with all of `OPS`, at both strides."""
    cell = Cell(tuple((Edge(op, 1),) for op in OPS), tuple(range(2, len(OPS) + 2)))
    return Genotype("darts", (("normal", cell), ("reduce", cell)))


def build(space: Any, genotype: Genotype, **settings: Any) -> Case:
    """Return a case."""
    network = space.build(genotype, classes=CLASSES, **settings)
    variables = _shaken(jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((2, *SHAPE))))
    logits = jax.jit(lambda x: network.apply(variables, x, train=False)[0].logits)(_inputs())
    return Case(space, genotype, settings, network, variables, np.asarray(logits))


def _inputs() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((5, *SHAPE)).astype(np.float32)


@pytest.fixture(scope="session")
def shaken() -> Callable[..., Any]:
    """Return `(variables, or their shapes) -> variables` that are not those of a new network."""
    return _shaken


DARTS = {"channels": 2, "cells": 3, "stem_multiplier": 2, "stem": "cifar", "auxiliary": False, "pool_norm": False}
CELLS = {"channels": 2, "cells": 1}


@pytest.fixture(scope="session")
def cases() -> dict[str, Case]:
    """Networks of random architectures, of a published path, and of all operations."""
    rng = np.random.default_rng(0)
    drawn = [random_genotype(darts.space(classes=CLASSES, nodes=2, cells=3), rng) for _ in range(2)]
    cell = random_genotype(nasbench201.space(classes=CLASSES), rng)
    return {
        "darts-0": build(darts, drawn[0], **DARTS),
        "darts-1": build(darts, drawn[1], **{**DARTS, "pool_norm": True}),
        "nasbench201": build(nasbench201, cell, **CELLS),
        "hypercuboid": build(hypercuboid, hypercuboid.named("SCALAR"), channels=2, head_channels=4),
        "operations": build(darts, every_operation(), **DARTS),
    }


@pytest.fixture(scope="session")
def inputs() -> np.ndarray:
    """Five normalised images."""
    return _inputs()


@pytest.fixture
def run_directory(images: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return `(changes of the result) -> a finished run's directory`, with weights that nobody trained."""

    def make(**changes: Any) -> Path:
        genotype = nasbench201.from_string("|nor_conv_3x3~0|+|avg_pool_3x3~0|none~1|+|skip_connect~0|none~1|none~2|")
        asked = config.make(
            "train",
            space="nasbench201",
            method="darts",
            preset="tiny",
            data=f"npz:{images}",
            seed=0,
            baseline=0,
            assignments=("retrain.channels=2", "retrain.batch_size=8"),
            genotype=genotype,
        )
        planned = planning.plan(asked, None)
        run = pipeline.start(planned, tmp_path / "run", False, "dnas train genotype.json")
        network = planned.space.build(genotype, channels=2, cells=1)
        variables = _shaken(jax.eval_shape(network.init, jax.random.key(0), jnp.zeros((2, 8, 8, 1))))
        save_tree(run.path / "model", {"params": variables.params, "stats": variables.stats})
        trained = {"test_accuracy": 0.5, "test_images": 20}
        run.write(RESULT, {"genotype": genotype.to_json(), "retrain": trained, **changes})
        return run.path

    return make
