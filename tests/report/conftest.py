"""Made-up but plausible run directories."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from dnas.genotype import Cell, Edge, Genotype
from search_spaces.darts import OPS

S3, MAX, SKIP, D3 = "sep_conv_3x3", "max_pool_3x3", "skip_connect", "dil_conv_3x3"


def make_cell(*nodes, concat=(2, 3, 4, 5)):
    """A cell from `(op, source)` pairs."""
    return Cell(tuple(tuple(Edge(op, source) for op, source in node) for node in nodes), tuple(concat))


V2_NORMAL = make_cell(((S3, 0), (S3, 1)), ((S3, 0), (S3, 1)), ((S3, 1), (SKIP, 0)), ((SKIP, 0), (D3, 2)))
V2_REDUCE = make_cell(((MAX, 0), (MAX, 1)), ((SKIP, 2), (MAX, 1)), ((MAX, 0), (SKIP, 2)), ((SKIP, 2), (MAX, 1)))
V2 = Genotype("darts", (("normal", V2_NORMAL), ("reduce", V2_REDUCE)))
NB201 = Genotype(
    "nasbench201",
    (
        (
            "cell",
            make_cell(
                (("nor_conv_3x3", 0),),
                (("none", 0), (SKIP, 1)),
                (("nor_conv_1x1", 0), ("avg_pool_3x3", 1), (SKIP, 2)),
                concat=(3,),
            ),
        ),
    ),
)


def entropy_of(weights):
    """Mean entropy of the rows, in nats."""
    return float(-(weights * np.log(weights)).sum(-1).mean())


def learning(epochs, start, end, rng):
    """A noisy curve from `start` to `end`."""
    ramp = 1 - np.exp(-4 * np.linspace(0, 1, epochs))
    return start + (end - start) * ramp + rng.normal(0, 0.01 * abs(end - start), epochs)


def metrics_line(phase, epoch, steps, seconds, images_per_second, loss, accuracy):
    """What the lines of all phases hold, after `epoch` epochs of so many steps and seconds each."""
    return {
        "phase": phase,
        "epoch": epoch,
        "step": steps * epoch,
        "seconds": seconds * epoch,
        "images_per_second": images_per_second,
        "learning_rate": 0.025,
        "train_loss": loss,
        "train_accuracy": accuracy,
    }


def search_rows(genotype, epochs, ops, edges, sharpness, rng):
    """The search's lines: weights that drift towards a random preference."""
    goal = {name: rng.normal(0, sharpness, (edges, len(ops))) for name, _ in genotype.cells}
    for name, cell in genotype.cells:
        inputs = max(cell.concat) - len(cell.nodes) + 1
        for index, node in enumerate(cell.nodes):
            for edge in node:
                row = sum(inputs + i for i in range(index)) + edge.source
                goal[name][row, ops.index(edge.op)] = 1.3 * goal[name][row].max()
    loss, accuracy = learning(epochs, 2.2, 0.3, rng), learning(epochs, 0.2, 0.93, rng)
    for i in range(epochs):
        logits = {name: value * (i + 1) / epochs for name, value in goal.items()}
        weights = {name: np.exp(v) / np.exp(v).sum(-1, keepdims=True) for name, v in logits.items()}
        yield {
            **metrics_line("search", i + 1, 14, 3.1, 410.0, loss[i], accuracy[i]),
            "valid_loss": loss[i] + 0.1,
            "valid_accuracy": accuracy[i] - 0.02,
            "weights": {name: value.tolist() for name, value in weights.items()},
            "entropy": {name: entropy_of(value) for name, value in weights.items()},
            "genotype": str(genotype) if i > epochs // 2 else f"early {i // 3}",
        }


def training_rows(phase, epochs, accuracy, rng):
    """A retraining's lines; tested in every fifth epoch and the last."""
    loss, train = learning(epochs, 2.2, 0.05, rng), learning(epochs, 0.3, 0.99, rng)
    test = learning(epochs, 0.3, accuracy, rng)
    for i in range(epochs):
        line = metrics_line(phase, i + 1, 23, 2.0, 800.0, loss[i], min(1.0, train[i]))
        if i % 5 == 4 or i == epochs - 1:
            line["test_accuracy"] = accuracy if i == epochs - 1 else min(1.0, test[i])
        yield line


def settings(epochs):
    """Flat names and values, as a configuration holds them."""
    return {
        "space.channels": 8,
        "space.cells": 3,
        "space.nodes": 4,
        "space.ops": list(OPS),
        "search.epochs": epochs,
        "search.batch_size": 64,
        "search.learning_rate": 0.025,
        "search.alpha_learning_rate": 3e-4,
        "search.alpha_betas": [0.5, 0.999],
        "search.clip": 5.0,
        "retrain.epochs": 30,
        "retrain.auxiliary": True,
        "retrain.drop_path": 0.2,
        "retrain.cutout": None,
    }


@pytest.fixture
def v2():
    """The second published DARTS genotype."""
    return V2


@pytest.fixture
def nb201():
    """A cell with one input, three nodes and six edges that all stay."""
    return NB201


@pytest.fixture
def make_run(tmp_path):
    """Return a function that writes a run directory and returns its path."""

    def write(
        name="digits-0",
        *,
        genotype=V2,
        found=0.9778,
        baselines=(0.9639,),
        search=True,
        epochs=20,
        ops=OPS,
        edges=14,
        sharpness=1.2,
        images=360,
        method="darts",
        command="dnas search --preset tiny --seed 0",
    ) -> Path:
        rng = np.random.default_rng(0)
        path = tmp_path / name
        path.mkdir()
        environment = {
            "dnas": "0.1.0",
            "python": "3.11.7",
            "jax": "0.10.2",
            "flax": "0.12.0",
            "optax": "0.2.6",
            "numpy": "2.4.6",
            "platform": "Linux-6.1-x86_64",
            "device": "cpu",
            "devices": 1,
            "cpu": "a processor",
            "git_commit": "0123456789abcdef0123456789abcdef01234567",
        }
        data = {
            "name": "digits",
            "classes": 10,
            "train": 1437,
            "test": images,
            "shape": [8, 8, 1],
            "fingerprint": "f00d",
        }
        config = {
            "schema": "dnas.config/1",
            "command": command,
            "seed": 0,
            "name": name,
            "space": genotype.space,
            "method": method,
            "data": data,
            "settings": settings(epochs),
            "environment": environment,
            "created": "2025-01-31T12:00:00+00:00",
        }
        result = {
            "schema": "dnas.result/1",
            "space": genotype.space,
            "method": method,
            "data": data,
            "seed": 0,
            "genotype": genotype.to_json(),
            "retrain": {
                "params": 43_210,
                "macs": 3_349_342,
                "epochs": 30,
                "train_seconds": 61.0,
                "compile_seconds": 12.3,
                "test_accuracy": found,
                "test_images": images,
            },
            "baseline": [
                {"genotype": genotype.to_json(), "params": 40_000 + i, "macs": 3_000_000, "test_accuracy": share}
                for i, share in enumerate(baselines)
            ],
            "environment": environment,
        }
        rows = []
        if search:
            result["search"] = {
                "epochs": epochs,
                "steps": 14 * epochs,
                "seconds": 83.0,
                "compile_seconds": 19.5,
                "images_per_second": 410.0,
                "valid_accuracy": 0.91,
            }
            result["ops"] = {group: list(ops) for group, _ in genotype.cells}
            rows += search_rows(genotype, epochs, ops, edges, sharpness, rng)
        rows += training_rows("retrain", 30, found, rng)
        for i, share in enumerate(baselines):
            rows += training_rows(f"baseline-{i}", 30, share, rng)
        assert all(math.isfinite(row["train_loss"]) for row in rows)
        (path / "config.json").write_text(json.dumps(config))
        (path / "genotype.json").write_text(json.dumps(genotype.to_json()))
        (path / "result.json").write_text(json.dumps(result))
        (path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write
