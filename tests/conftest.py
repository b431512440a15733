"""What the tests share: one folder of compiled programs for all processes of a session, removed at its end."""

import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest

# Test processes compile the same tiny programs again and again; the cache changes no bit of what they compute.
# The first process makes the folder and names it in the environment, from which its workers take it.
if "DNAS_TEST_CACHE" not in os.environ:
    os.environ["DNAS_TEST_CACHE"] = tempfile.mkdtemp(prefix="dnas-tests-")
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.environ["DNAS_TEST_CACHE"]
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.5"


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        shutil.rmtree(os.environ["DNAS_TEST_CACHE"], ignore_errors=True)


TINY = (
    "space.channels=2",
    "space.nodes=1",
    "space.ops=none,max_pool_3x3,skip_connect,dil_conv_3x3",
    "search.epochs=3",
    "search.batch_size=8",
    "search.chunk_steps=2",
    "search.alpha_lr=0.1",
    "retrain.channels=2",
    "retrain.epochs=3",
    "retrain.batch_size=8",
    "retrain.chunk_steps=2",
    "retrain.drop_path=0.2",
)
"""Settings of a search that takes seconds; chunks do not divide the epoch, so that stopping within one is covered."""


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """`TINY`, for tests that call Python."""
    return TINY


@pytest.fixture(scope="session")
def tiny_words() -> list[str]:
    """`TINY` as command-line words."""
    return [word for setting in TINY for word in ("--set", setting)]


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 40 training and 20 test images, 8x8, of two classes that differ in brightness."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 40), ("test", 20)):
        labels = np.arange(count) % 2
        arrays[f"y_{part}"] = labels
        arrays[f"x_{part}"] = (rng.integers(0, 128, (count, 8, 8, 1)) + 100 * labels[:, None, None, None]).astype(
            np.uint8
        )
    path = tmp_path_factory.mktemp("images") / "images.npz"
    np.savez(path, **arrays)
    return path
