"""Checkpoints on disk: written whole or not at all, verified when read. The only file that imports Orbax."""

import errno
import hashlib
import json
import logging
import os
import shutil
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jax
from orbax.checkpoint import v1 as ocp

from dnas.devices import processes
from dnas.errors import CannotWrite, UserError, reason

Tree = TypeVar("Tree")
KEEP = 2
"""Finished checkpoints that are kept: the newest, and the one before it in case the newest gets damaged."""
_CHECKSUMS = "checksums.json"
_PREFIX = "step-"
_OVERHEAD = 1 << 20


def save_tree(path: Path, tree: Any) -> None:
    """Write a pytree of arrays to the folder `path` with a checksum of every file, replacing what is there.

    Everything is written under a temporary name and renamed last, so that `path` is never half-written. Of several
    processes all must call this, with arrays that all of them share and a folder that all of them see.

    Raises:
        UserError: if it cannot be written, for instance because the disk is full.
    """
    path = path.absolute()
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        _begin(unfinished, tree)
        with _quiet():
            ocp.save(unfinished, tree)
        _finish(unfinished, path)
    except Exception as error:  # Orbax and TensorStore raise errors of many types for one full disk.
        if processes.broken(error):
            raise
        if processes.first():
            shutil.rmtree(unfinished, ignore_errors=True)
        raise CannotWrite(path, error, "; what was there before is kept") from error


def load_tree(path: Path, like: Tree) -> Tree:
    """Read the pytree that `save_tree` wrote.

    Args:
        path: the folder.
        like: a pytree of the same structure, shapes and types; its values are not used.

    Raises:
        UserError: if a file is missing, its checksum differs, or the tree has another structure.
    """
    try:
        _verify(path)
        abstract = jax.tree.map(_abstract, like)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return processes.all_do(lambda: ocp.load(path.absolute(), abstract))
    except Exception as error:
        if processes.broken(error):
            raise
        raise UserError(f"checkpoint {str(path)!r} is damaged or of another program ({reason(error)})") from error


class Checkpoints:
    """The checkpoints of one phase of a run, in the folder `path`, named by step."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @processes.by_first
    def steps(self) -> list[int]:
        """Return the steps of all finished checkpoints, oldest first."""
        if not self.path.is_dir():
            return []
        names = [entry.name.removeprefix(_PREFIX) for entry in self.path.iterdir() if entry.name.startswith(_PREFIX)]
        return sorted(int(name) for name in names if name.isdigit())

    def save(self, step: int, tree: Any) -> None:
        """Write a checkpoint of `tree` at `step`, then delete all but the newest `KEEP`."""
        save_tree(self.path / f"{_PREFIX}{step}", tree)
        self._forget(self.steps()[:-KEEP])

    def restore(self, like: Tree, warn: Callable[[str], None]) -> Tree | None:
        """Return the newest checkpoint that can be read, or `None` if there is none.

        Args:
            like: pytree of the same structure, shapes and types.
            warn: called with a sentence for each damaged checkpoint that is passed over.
        """
        for step in reversed(self.steps()):
            try:
                return load_tree(self.path / f"{_PREFIX}{step}", like)
            except UserError as error:
                warn(f"{error}: using the one before it")
        return None

    def load(self, step: int, like: Tree) -> Tree:
        """Return the checkpoint at `step`; `UserError` if it cannot be read."""
        return load_tree(self.path / f"{_PREFIX}{step}", like)

    def forget_after(self, step: int) -> None:
        """Delete the checkpoints of later steps, which a resumed run writes anew."""
        self._forget([later for later in self.steps() if later > step])

    @processes.by_first
    def _forget(self, steps: list[int]) -> None:
        for step in steps:
            shutil.rmtree(self.path / f"{_PREFIX}{step}", ignore_errors=True)


@processes.by_first
def _begin(unfinished: Path, tree: Any) -> None:
    """Make room for a tree under its temporary name."""
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.parent.mkdir(parents=True, exist_ok=True)
    _check_room(unfinished.parent, tree)


@processes.by_first
def _finish(unfinished: Path, path: Path) -> None:
    """Add the checksums of what was written, and give it its name."""
    (unfinished / _CHECKSUMS).write_text(json.dumps(_checksums(unfinished), indent=1))
    _sync(unfinished)
    if path.exists():
        shutil.rmtree(path)
    os.replace(unfinished, path)


@processes.by_first
def _verify(path: Path) -> None:
    """Raise unless the files in `path` are those that were written."""
    if json.loads((path / _CHECKSUMS).read_text()) != _checksums(path):
        raise UserError("a checksum differs")


def _check_room(folder: Path, tree: Any) -> None:
    """Raise the operating system's error for a full disk before Orbax's threads each run into it."""
    needed = sum(leaf.nbytes for leaf in jax.tree.leaves(tree)) + _OVERHEAD
    if shutil.disk_usage(folder).free < needed:
        raise OSError(errno.ENOSPC, f"{os.strerror(errno.ENOSPC)}, {needed:,} bytes needed")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Orbax and its writer threads from printing the traceback of an error that reaches the caller anyway."""
    logger, hook = logging.getLogger("absl"), threading.excepthook
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    threading.excepthook = lambda args: None
    try:
        yield
    finally:
        logger.setLevel(level)
        threading.excepthook = hook


def _abstract(leaf: Any) -> Any:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=getattr(leaf, "sharding", None))


def _checksums(folder: Path) -> dict[str, str]:
    files = sorted(file for file in folder.rglob("*") if file.is_file() and file.name != _CHECKSUMS)
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _sync(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as handle:
                os.fsync(handle.fileno())
