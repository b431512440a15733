"""Finds the factories that a contract is about: one in each module of the package that a test file names.

A test file sets `PACKAGE`, and each of its tests that takes `factory` runs once for every module of that package.
"""

import importlib
import pkgutil
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest


def _factory(module: ModuleType, name: str) -> Any:
    """Return what `module` calls `name`; a module without it breaks the contract."""
    found = getattr(module, name, None)
    assert callable(found), f"{module.__name__} must hold a function {name!r}"
    return found


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "member" in metafunc.fixturenames:
        package = metafunc.module.PACKAGE
        names = sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.name.startswith("_"))
        assert names, f"{package.__name__} holds no modules"
        metafunc.parametrize("member", [f"{package.__name__}.{name}" for name in names], ids=names, scope="module")


@pytest.fixture(scope="module")
def module(member: str) -> ModuleType:
    return importlib.import_module(member)


@pytest.fixture(scope="module")
def factory(module: ModuleType) -> Any:
    """Return the factory of a module: the function of the file's name."""
    return _factory(module, module.__name__.rpartition(".")[2])


@pytest.fixture
def factory_of() -> Callable[[ModuleType, str], Any]:
    return _factory
