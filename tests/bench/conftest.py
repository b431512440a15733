"""Points that compile in seconds."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

OPS = ("none", "max_pool_3x3", "avg_pool_3x3", "skip_connect", "sep_conv_3x3", "dil_conv_5x5")
"""One of each kind; the other sizes would only compile longer."""
SETTINGS: Mapping[str, tuple[int, Mapping[str, Any]]] = {
    "darts": (8, {"space.channels": 2, "space.cells": 3, "space.nodes": 2, "space.ops": OPS}),
    "nasbench201": (8, {"space.channels": 2, "space.cells": 2}),
    "derived": (32, {"retrain.channels": 2, "retrain.cells": 3}),
}
"""Side of the images and settings; the derived network has its auxiliary head, which needs images of 32x32."""


@pytest.fixture(scope="session")
def tiny_point() -> Callable[..., Any]:
    """Return `(case, **settings) -> Point` with a minibatch of 4 images."""
    from dnas.bench.points import point

    def make(case: str, **chosen: Any) -> Any:
        image, settings = SETTINGS[case]
        return point(case, 4, image, "darts", {**settings, **chosen})

    return make
