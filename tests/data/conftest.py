"""What the tests of the data package share."""

import numpy as np
import pytest


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """Four valid arrays: 12 and 6 random images of 5x4 pixels and 3 channels, in three classes."""
    rng = np.random.default_rng(0)
    return {
        "x_train": rng.integers(0, 256, (12, 5, 4, 3), dtype=np.uint8),
        "y_train": np.arange(12, dtype=np.int64) % 3,
        "x_test": rng.integers(0, 256, (6, 5, 4, 3), dtype=np.uint8),
        "y_test": np.arange(6, dtype=np.int64) % 3,
    }
