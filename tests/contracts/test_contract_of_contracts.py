"""A module that does not hold what its folder promises fails."""

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


@pytest.mark.parametrize("contents", [{}, {"other": print}, {"ghost": "a word"}])
def test_a_module_without_its_factory_fails(
    contents: dict[str, Any], factory_of: Callable[[ModuleType, str], Any]
) -> None:
    module = ModuleType("dnas.relaxations.ghost")
    vars(module).update(contents)
    with pytest.raises(AssertionError, match=r"dnas\.relaxations\.ghost must hold a function 'ghost'"):
        factory_of(module, "ghost")


def test_a_module_with_its_factory_passes(factory_of: Callable[[ModuleType, str], Any]) -> None:
    module = ModuleType("dnas.relaxations.ghost")
    vars(module)["ghost"] = dict
    assert factory_of(module, "ghost") is dict
