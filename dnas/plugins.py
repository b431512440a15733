"""Finding search spaces, methods and benchmarks by name, through Python entry points.

An entry point of the group names either a package, each of whose modules holds a factory, or a module that holds one.
This library's own are found the same way, so that a package of the user's adds one without touching ours.
"""

import importlib
import pkgutil
import sys
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from dnas.errors import UserError, reason, unknown

SPACES = "dnas.search_spaces"
METHODS = "dnas.methods"
BENCHMARKS = "dnas.benchmarks"
OBJECTIVES = "dnas.objectives"


def loaded(kind: str, name: str) -> Any:
    """Return what `package.module:function` names; the present folder is searched too.

    Raises:
        UserError: if there is no such module, or nothing of that name in it that can be called.
    """
    module, _, attribute = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except (ImportError, ValueError) as error:
        raise UserError(
            f"{kind} {name!r}: module {module!r} cannot be imported ({reason(error)}): start dnas in the folder that "
            f"holds it, or install its package"
        ) from None
    if not callable(found):
        raise UserError(f"{kind} {name!r}: expected a function {attribute!r} in module {module!r}, got none")
    return found


def _members(module: ModuleType) -> dict[str, str]:
    """Return the importable name of each module that a package holds, or of the module itself, by its last part."""
    if hasattr(module, "__path__") and not hasattr(module, "space"):
        inside = (info.name for info in pkgutil.iter_modules(module.__path__) if not info.name.startswith("_"))
        return {name: f"{module.__name__}.{name}" for name in inside}
    return {module.__name__.rpartition(".")[2]: module.__name__}


def names(group: str) -> dict[str, str]:
    """Return the modules that the entry points of `group` offer, by name.

    Raises:
        UserError: if an entry point cannot be imported.
    """
    found: dict[str, str] = {}
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        try:
            found.update(_members(importlib.import_module(point.value)))
        except ImportError as error:
            raise UserError(
                f"entry point {point.name!r} of group {group!r} cannot be imported ({reason(error)}): "
                f"reinstall its package"
            ) from None
    return found


def find(group: str, kind: str, name: str) -> ModuleType:
    """Import the module that `group` offers under `name`.

    Args:
        group: `SPACES`, `METHODS`, `BENCHMARKS` or `OBJECTIVES`.
        kind: what to call it in an error.
        name: its name.

    Raises:
        UserError: if there is none of that name; the nearest name is suggested.
    """
    offered = names(group)
    if name not in offered:
        raise unknown(kind, name, offered)
    return importlib.import_module(offered[name])
