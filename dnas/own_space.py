"""A user's own search space, by the name of what makes it, in the form in which this library's own are used.

A space of this library is a module with `space`, `build` and `PRESETS`. A user gives a function that returns a
`SearchSpace`, or the value itself; the rest is filled in here.
"""

import hashlib
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from dnas.errors import UserError, reason
from dnas.genotype import Genotype
from dnas.types import Network, SearchSpace

GIVEN = ("classes", "shape")
"""What a function may ask for by these names: the number of classes, and (H, W, C) of the images."""
PLAIN = (int, float, str)

PRESETS: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "data": "digits",
        "baseline": 1,
        "search.epochs": 12,
        "search.alpha_lr": 2e-2,
        "retrain.epochs": 30,
        "retrain.batch_size": 64,
        "retrain.drop_path": 0.0,
    },
    "small": {
        "data": "cifar10",
        "baseline": 1,
        "search.epochs": 5,
        "search.alpha_lr": 3e-3,
        "search.chunk_steps": 23,
        "retrain.epochs": 4,
        "retrain.batch_size": 100,
        "retrain.drop_path": 0.0,
        "retrain.chunk_steps": 50,
    },
    "paper": {"data": "cifar10", "baseline": 0, "retrain.drop_path": 0.0},
}
"""Settings that suit any network: none of the space or of its networks, and no drop path, of which a user's network
need know nothing."""


def build(genotype: Genotype) -> Network:
    """Stand for the networks of a user's space, of which no setting is known; `SearchSpace.build` makes them."""
    raise NotImplementedError("networks of a user's space are made by SearchSpace.build")


@dataclass(frozen=True)
class OwnSpace:
    """A user's space; `space`, `build`, `named` and `PRESETS` are as in a module of this library's.

    Attributes:
        name: as the user gave it, which its architectures are saved under.
        module: the module that it is from.
        space: `(*, classes, shape, **settings) -> SearchSpace`.
        named: `(text) -> Genotype`, the architecture of that name.
        build: a function whose arguments with defaults are settings of the networks.
        PRESETS: named sets of settings.
    """

    name: str
    module: ModuleType
    space: Callable[..., SearchSpace]
    named: Callable[[str], Genotype]
    build: Callable[..., Network] = build
    PRESETS: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: PRESETS)


def own_space(name: str, module: ModuleType, found: Any) -> OwnSpace:
    """Return what a user offers as a search space.

    Args:
        name: what the space is called.
        module: where it is from; what it holds of `build`, `named` and `PRESETS` is taken if `found` is its `space`.
        found: a `SearchSpace`, or a function that returns one: of `classes` and `shape` where it has arguments of these
            names, and of settings, arguments with a default that is a number, a word or several.

    Raises:
        UserError: for anything else, or a function with other arguments without a default.
    """

    def named(text: str) -> Genotype:
        raise UserError(
            f"{text!r}: architectures of the space {name} have no names: give a file, such as genotype.json of a run"
        )

    if isinstance(found, SearchSpace):
        return OwnSpace(name, module, _offering(name, lambda: found), named)
    if not callable(found):
        raise UserError(
            f"space {name!r}: expected a function that returns a SearchSpace, or a SearchSpace, got "
            f"{type(found).__name__}: write one with dnas.space(module, example_input)"
        )
    whole = found is getattr(module, "space", None)
    more = {part: getattr(module, part) for part in ("build", "named", "PRESETS") if whole and hasattr(module, part)}
    return OwnSpace(name, module, _offering(name, found), **{"named": named, **more})


def made(module: Any, *, classes: int | None, shape: tuple[int, ...], **settings: Any) -> SearchSpace:
    """Return the space that a module of a space, or an `OwnSpace`, makes for data.

    Args:
        module: it.
        classes: number of classes.
        shape: of one input, such as (H, W, C) of an image.
        settings: further arguments.
    """
    given = {"classes": classes, "shape": tuple(shape)}
    taken = inspect.signature(module.space).parameters
    space: SearchSpace = module.space(**{key: value for key, value in given.items() if key in taken}, **settings)
    return space


def source(module: Any) -> dict[str, Any] | None:
    """Return which file a user's space is from, and the hash of its content; `None` for a space that is installed."""
    if not isinstance(module, OwnSpace):
        return None
    file = getattr(module.module, "__file__", None)
    content = Path(file).read_bytes() if file and Path(file).is_file() else b""
    return {"module": module.module.__name__, "sha256": hashlib.sha256(content).hexdigest()}


def _offering(name: str, function: Callable[..., Any]) -> Callable[..., SearchSpace]:
    """Return `function` as `(*, classes, shape, **settings)`, whose signature lists the settings with their types."""
    parameters = inspect.signature(function).parameters
    kinds, others = {}, []
    hints = _hints(function)
    for key, parameter in parameters.items():
        if key in GIVEN or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.default is parameter.empty:
            others.append(key)
        elif (kind := _kind(hints.get(key), parameter.default)) is not None:
            kinds[key] = kind
    if others:
        raise UserError(
            f"space {name!r}: expected a function of classes, shape and arguments with defaults, got one that needs "
            f"{', '.join(others)}: give defaults"
        )

    def space(*, classes: Any, shape: Any, **settings: Any) -> SearchSpace:
        given = {key: value for key, value in {"classes": classes, "shape": shape}.items() if key in parameters}
        return _called(name, function, {**given, **settings})

    only = inspect.Parameter.KEYWORD_ONLY
    space.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            *(inspect.Parameter(key, only) for key in GIVEN),
            *(inspect.Parameter(key, only, default=parameters[key].default) for key in kinds),
        ]
    )
    space.__annotations__ = kinds
    space.__doc__ = function.__doc__
    return space


def _called(name: str, function: Callable[..., Any], given: Mapping[str, Any]) -> SearchSpace:
    """Call a user's function, and let what it returns bear the name by which it is found again."""
    try:
        found = function(**given)
    except UserError as error:
        raise UserError(f"space {name!r}: {error}") from None
    except Exception as error:
        raise UserError(
            f"space {name!r}: its function raised {type(error).__name__} ({reason(error)}){_where(error, function)}: "
            f"correct it, or call it in Python to see all of it"
        ) from None
    if not isinstance(found, SearchSpace):
        raise UserError(
            f"space {name!r}: expected its function to return a SearchSpace, got {type(found).__name__}: return "
            f"dnas.space(module, example_input)"
        )
    return _renamed(found, name)


def _renamed(space: SearchSpace, name: str) -> SearchSpace:
    return space._replace(name=name, rebuild=lambda **changes: _renamed(space.rebuild(**changes), name))


def _where(error: Exception, function: Callable[..., Any]) -> str:
    """Return the last line of the function's own file that led to an error."""
    own = getattr(inspect.unwrap(function), "__code__", None)
    trace, found = error.__traceback__, ""
    while trace is not None:
        code = trace.tb_frame.f_code
        if own is not None and code.co_filename == own.co_filename:
            found = f" in {Path(code.co_filename).name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    # A type that cannot be looked up, or something callable that has no types.
    except (NameError, TypeError, AttributeError):
        return {}


def _kind(hint: Any, default: Any) -> Any:
    """Return the type of a setting; `None` for what cannot be written on a command line."""
    if hint is None:
        item = type(default[0]) if isinstance(default, tuple) and default else str
        hint = tuple[item, ...] if isinstance(default, tuple) else type(default)  # type: ignore[valid-type]
    union = typing.get_origin(hint) in (types.UnionType, typing.Union)
    options = [one for one in (typing.get_args(hint) if union else (hint,)) if one is not type(None)]
    return hint if options and all(map(_is_plain, options)) else None


def _is_plain(kind: Any) -> bool:
    if typing.get_origin(kind) is tuple:
        items = typing.get_args(kind)
        return len(items) == 2 and items[0] in PLAIN and items[1] is Ellipsis
    return kind in (*PLAIN, bool)
