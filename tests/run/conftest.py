"""Searches on the small images, planned as `dnas` does."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dnas.run import config, pipeline


@pytest.fixture(scope="session")
def plan_of(images: Path) -> Callable[..., pipeline.Plan]:
    """Return `(space, seed, settings, baseline, like) -> Plan`: a search with DARTS of which nothing is written."""

    def make(
        space: str,
        seed: int,
        settings: Sequence[str],
        baseline: int | None = None,
        like: pipeline.Plan | None = None,
    ) -> pipeline.Plan:
        request = config.make(
            config.SEARCH,
            space=space,
            method="darts",
            preset="tiny",
            data=f"npz:{images}",
            seed=seed,
            baseline=baseline,
            assignments=tuple(settings),
        )
        return pipeline.plan(request, None, like=like)

    return make
