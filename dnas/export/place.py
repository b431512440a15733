"""Writing a folder whole or not at all."""

import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from dnas.errors import CannotWrite, UserError
from dnas.run.interrupt import Interrupted


def check_folder(path: Path, mark: str, overwrite: bool) -> None:
    """Raise `UserError` unless a folder can be put at `path`.

    Args:
        path: the folder.
        mark: a file that every such folder holds: only a folder that holds it, or nothing, is ever replaced.
        overwrite: whether one may be replaced.
    """
    if not (path.exists() or path.is_symlink()):
        return
    if not path.is_dir():
        raise UserError(f"--out: expected a folder, but {str(path)!r} is a file: choose another")
    if not any(path.iterdir()):
        return
    if not (path / mark).is_file():
        raise UserError(f"--out: {str(path)!r} was not made by dnas export (it holds no {mark}): choose another folder")
    if not overwrite:
        raise UserError(f"--out: {str(path)!r} exists: choose another folder, or add --overwrite")


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder which becomes `path` if all goes well, and is gone if not.

    What was at `path` is replaced in the end. SIGTERM counts as going wrong; what a process leaves that is killed
    otherwise is hidden beside `path`, and removed by the next one.

    Raises:
        UserError: if it cannot be written.
    """
    unfinished, old = (path.with_name(f".{path.name}.{word}") for word in ("unfinished", "old"))
    with _terminable():
        try:
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir(parents=True)
            yield unfinished
            _sync(unfinished)
            shutil.rmtree(old, ignore_errors=True)
            if path.exists():
                os.replace(path, old)
            os.replace(unfinished, path)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise CannotWrite(path, error) from None
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise


def write_file(path: Path, content: bytes) -> None:
    """Write a file under a temporary name and rename it; `UserError` if that fails."""
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_bytes(content)
        os.replace(unfinished, path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise CannotWrite(path, error) from None


def _sync(folder: Path) -> None:
    for file in folder.iterdir():
        with file.open("rb") as handle:
            os.fsync(handle.fileno())


@contextmanager
def _terminable() -> Iterator[None]:
    """Have SIGTERM raise, so that what is unfinished is removed."""

    def handle(signum: int, frame: FrameType | None) -> None:
        del frame
        raise Interrupted(signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, handle)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
