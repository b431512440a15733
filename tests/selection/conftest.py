"""A space whose networks nobody builds: selection looks at its groups only."""

from collections.abc import Callable
from typing import Any

import pytest

from dnas.types import Group, SearchSpace


def _refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("a selection must not run the network")


@pytest.fixture
def space_of() -> Callable[..., SearchSpace]:
    """Return `(**groups) -> SearchSpace`."""

    def make(**groups: Group) -> SearchSpace:
        return SearchSpace("toy", groups, _refuse, _refuse, _refuse, _refuse, _refuse)

    return make
