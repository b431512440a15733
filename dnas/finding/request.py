"""What was asked of `dnas.find`, as JSON: a directory goes on with the request that it began with and no other."""

import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dnas.data.reader import Streams
from dnas.data.trees import fingerprint
from dnas.errors import UserError, reason, unknown
from dnas.finding.found import Asked, Data, Method
from dnas.run.directory import RunDirectory

REQUEST = "find.json"
SCHEMA = "dnas.find/1"


def request(asked: Asked, data: Data) -> dict[str, Any]:
    """Return what decides the bits of a result, as JSON values; of functions, such as a method, only the names."""
    spec = {name: group._asdict() for name, group in asked.space.spec.items()}
    numbers = (
        *("epochs", "batch_size", "seed", "train_epochs", "train_lr", "with_valid", "baseline", "chunk_steps"),
        *("finalists", "finalist_epochs"),
    )
    whole = {
        "schema": SCHEMA,
        "space": {"name": asked.space.name, "spec": spec},
        "method": _name(asked.method),
        "settings": dict(asked.settings),
        **{name: getattr(asked, name) for name in numbers},
        "optimizer": asked.optimizer,
        "data": _told(data),
    }
    plain: dict[str, Any] = json.loads(json.dumps(whole, default=_name))
    return plain


def check_settings(method: Method, settings: Mapping[str, Any]) -> None:
    """Raise `UserError` for a setting that the method does not have."""
    own = inspect.signature(method).parameters
    if any(one.kind is one.VAR_KEYWORD for one in own.values()):
        return
    for name in settings:
        if name not in own:
            known = [one for one in own if one not in ("space", "epochs", "steps_per_epoch")]
            raise unknown(f"setting of {_name(method)}", name, known)


def opened(directory: str | Path, wanted: Mapping[str, Any]) -> RunDirectory:
    """Return the directory of a request, made or found.

    Raises:
        UserError: if it holds another request or something else, or cannot be made.
    """
    run = RunDirectory(Path(directory))
    if run.has(REQUEST):
        before = run.read(REQUEST)
        other = [name for name in {**before, **wanted} if before.get(name) != wanted.get(name)]
        if other:
            raise UserError(
                f"{str(run.path)!r} began with another {', '.join(other)}: ask for the same again, or choose another "
                f"directory"
            )
        return run
    try:
        run.path.mkdir(parents=True, exist_ok=True)
        strange = [entry.name for entry in run.path.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise UserError(f"cannot make the directory {str(run.path)!r} ({reason(error)}): choose another") from None
    if strange:
        raise UserError(
            f"{str(run.path)!r} was not made by dnas.find (it holds {strange[0]!r}): choose an empty directory"
        )
    run.write(REQUEST, dict(wanted))
    return run


def _told(data: Data) -> dict[str, Any]:
    """Return what tells data from others: a fingerprint of arrays, of minibatches only how they are taken."""
    if isinstance(data, Streams):
        return {"kind": data.kind, "steps": data.steps, "valid_steps": data.valid_steps}
    return {"kind": type(data).__name__.lower(), "fingerprint": fingerprint(jax.tree.map(np.asarray, data))}


def _name(value: Any) -> str:
    """Return what stands for a value that JSON does not know: the name of a function, else what it prints as."""
    module, name = getattr(value, "__module__", None), getattr(value, "__qualname__", None)
    return f"{module}.{name}" if module and name else str(value)
