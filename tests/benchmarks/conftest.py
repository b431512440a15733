"""What the tests of tabular benchmarks share: a complete table of made-up numbers."""

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from dnas.benchmarks import nasbench201
from dnas.table import Table
from search_spaces.nasbench201.cells import EDGES, OPS
from search_spaces.nasbench201.strings import canonical, from_ops, to_string

Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="session")
def made_up() -> Arrays:
    """The arrays of a complete table for one data set, `toy`, and an old release of another; rows in random order.

    A convolution adds to accuracy, cost and size, so that the numbers are not mere noise.
    """
    rng = np.random.default_rng(0)
    ops = rng.permutation(np.array(list(product(range(len(OPS)), repeat=len(EDGES))), dtype=np.uint8))
    genotypes = [from_ops(tuple(OPS[code] for code in row)) for row in ops]
    work = (ops == 2).sum(axis=1) + 9 * (ops == 3).sum(axis=1)
    accuracy = {
        name: np.clip(70 + work / 3 + rng.normal(0, noise, len(ops)), 0, 100).astype(np.float32)
        for name, noise in (("test200_toy", 2), ("val200_toy", 3), ("test12_toy", 4), ("val12_toy", 5))
    }
    return {
        "arch": np.array([to_string(genotype) for genotype in genotypes], dtype="S"),
        "ops": ops,
        "op_names": np.array(OPS, dtype="S"),
        "edges": np.array(EDGES, dtype=np.uint8),
        "unique_str": np.array([canonical(genotype) for genotype in genotypes], dtype="S"),
        **accuracy,
        "test200_cifar10": accuracy["test200_toy"] - np.float32(5),
        "test200_cifar10_nb201v11": np.full(len(ops), 1000, np.float32),
        "cost12_cifar10_s": 30 + 3.0 * work,
        "cost12_toy_s": 3 + 0.3 * work,
        "flops_cifar10_M": 8.000001 + 4 * work,
        "params_cifar10_M": 0.073306 + 0.026 * work,
        "val12_other": np.full(3, np.nan),
        "notes": np.array(["not part of a table"]),
    }


@pytest.fixture(scope="session")
def file(made_up: Arrays, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`made_up` as a file."""
    path = tmp_path_factory.mktemp("table") / nasbench201.FILE
    np.savez(path, **made_up)
    return path


@pytest.fixture(scope="session")
def table(file: Path) -> Table:
    """`made_up` as a table."""
    return nasbench201.load(file)
