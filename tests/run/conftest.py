"""Searches on the small images, planned as `dnas` does."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from dnas.run import config, planning


@pytest.fixture(scope="session")
def plan_of(images: Path) -> Callable[..., planning.Plan]:
    """Return `(space, seed, settings, baseline, like, method) -> Plan`: a search of which nothing is written."""

    def make(
        space: str,
        seed: int,
        settings: Sequence[str],
        baseline: int | None = None,
        like: planning.Plan | None = None,
        method: str = "darts",
    ) -> planning.Plan:
        request = config.make(
            config.SEARCH,
            space=space,
            method=method,
            preset="tiny",
            data=f"npz:{images}",
            seed=seed,
            baseline=baseline,
            assignments=tuple(settings),
        )
        return planning.plan(request, None, like=like)

    return make
