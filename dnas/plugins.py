"""Finding search spaces, methods and benchmarks by name, through Python entry points.

An entry point of the group names either a package, each of whose modules holds a factory, or a module that holds one.
This library's own are found the same way, so that a package of the user's adds one without touching ours. A search
space may also be a function, or a `SearchSpace`, named as `package.module:name`, by an entry point or by the user.
"""

import importlib
import pkgutil
import sys
from importlib.metadata import entry_points
from types import ModuleType
from typing import Any

from dnas.errors import UserError, reason, unknown
from dnas.own_space import own_space

SPACES = "dnas.search_spaces"
METHODS = "dnas.methods"
BENCHMARKS = "dnas.benchmarks"
OBJECTIVES = "dnas.objectives"
PROXIES = "dnas.proxies"


def loaded(kind: str, name: str) -> Any:
    """Return the function that `package.module:function` names; the present folder is searched too.

    Raises:
        UserError: if there is no such module, or nothing of that name in it that can be called.
    """
    module, _, attribute = name.partition(":")
    found = getattr(_imported(kind, name, module), attribute, None)
    if not callable(found):
        raise UserError(f"{kind} {name!r}: expected a function {attribute!r} in module {module!r}, got none")
    return found


def _imported(kind: str, name: str, module: str) -> ModuleType:
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        return importlib.import_module(module)
    except UserError:
        raise
    except (ImportError, ValueError) as error:
        raise UserError(
            f"{kind} {name!r}: module {module!r} cannot be imported ({reason(error)}): start dnas in the folder that "
            f"holds it, or install its package"
        ) from None
    except Exception as error:
        raise UserError(
            f"{kind} {name!r}: importing module {module!r} raised {type(error).__name__} ({reason(error)}): correct it"
        ) from None


def _members(module: ModuleType) -> dict[str, str]:
    """Return the importable name of each module that a package holds, or of the module itself, by its last part."""
    if hasattr(module, "__path__") and not hasattr(module, "space"):
        inside = (info.name for info in pkgutil.iter_modules(module.__path__) if not info.name.startswith("_"))
        return {name: f"{module.__name__}.{name}" for name in inside}
    return {module.__name__.rpartition(".")[2]: module.__name__}


def names(group: str) -> dict[str, str]:
    """Return the modules, or `package.module:name`, that the entry points of `group` offer, by name.

    Raises:
        UserError: if an entry point cannot be imported.
    """
    found: dict[str, str] = {}
    for point in sorted(entry_points(group=group), key=lambda point: point.name):
        if group == SPACES and ":" in point.value:
            found[point.name] = point.value
            continue
        try:
            found.update(_members(importlib.import_module(point.value)))
        except ImportError as error:
            raise UserError(
                f"entry point {point.name!r} of group {group!r} cannot be imported ({reason(error)}): "
                f"reinstall its package"
            ) from None
    return found


def find(group: str, kind: str, name: str) -> Any:
    """Return the module that `group` offers under `name`.

    A search space may be `package.module:name` too, and a module that lacks the `build` or `PRESETS` of this library's:
    it is then completed (`dnas.own_space.OwnSpace`), and its space is called `name`.

    Args:
        group: `SPACES`, `METHODS`, `BENCHMARKS`, `OBJECTIVES` or `PROXIES`.
        kind: what to call it in an error.
        name: its name.

    Raises:
        UserError: if there is none of that name, the nearest name being suggested, or it cannot be imported.
    """
    if group == SPACES and ":" in name:
        return _own(kind, name, name)
    offered = names(group)
    if name not in offered:
        raise unknown(kind, name, offered)
    if group == SPACES and ":" in offered[name]:
        return _own(kind, name, offered[name])
    module = importlib.import_module(offered[name])
    if group == SPACES and hasattr(module, "space") and not (hasattr(module, "build") and hasattr(module, "PRESETS")):
        return own_space(name, module, module.space)
    return module


def _own(kind: str, name: str, value: str) -> Any:
    path, _, attribute = value.partition(":")
    module = _imported(kind, name, path)
    if not hasattr(module, attribute):
        raise unknown(f"{kind} of module {path!r}", attribute, [one for one in vars(module) if not one.startswith("_")])
    return own_space(name, module, getattr(module, attribute))
