"""The small search that is run on one device, on simulated devices and in several processes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SETTINGS = (
    "space.channels=2",
    "space.cells=3",
    "space.nodes=1",
    "space.ops=none,avg_pool_3x3,dil_conv_3x3",
    "search.epochs=4",
    "search.batch_size=8",
    "search.alpha_lr=0.01",
    "retrain.channels=2",
    "retrain.epochs=1",
    "retrain.batch_size=8",
)


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """Environment of a test's processes, which run on the CPU."""
    return {**os.environ, "JAX_PLATFORMS": "cpu"}


@pytest.fixture(scope="session")
def small() -> tuple[str, ...]:
    """Settings of a search and a retraining on `images` in minibatches of 8."""
    return SETTINGS


@pytest.fixture(scope="session")
def simulated(images: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `simulated.py` writes, which one process with 8 simulated devices does for all tests."""
    folder = tmp_path_factory.mktemp("simulated")
    flags = f"{environment['XLA_FLAGS']} --xla_force_host_platform_device_count=8"
    program = Path(__file__).with_name("simulated.py")
    done = subprocess.run(
        [sys.executable, program, folder, f"npz:{images}", *SETTINGS],
        env={**environment, "XLA_FLAGS": flags},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder
