"""Where data files lie, and how an operating system's complaint about one reads in a sentence."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dnas.errors import UserError, reason

VARIABLE = "DNAS_DATA"
DEFAULT = "~/.cache/dnas/data"


def directory(data_dir: str | Path | None = None) -> Path:
    """Return the folder of downloaded data sets: `data_dir`, else `$DNAS_DATA`, else `~/.cache/dnas/data`.

    Raises:
        UserError: if the path starts with `~` and there is no home folder to put in its place.
    """
    path = expand(str(data_dir or os.environ.get(VARIABLE) or DEFAULT))
    if str(path).startswith("~"):
        raise UserError(f"data folder {str(path)!r}: no home folder is known, give a full path or set ${VARIABLE}")
    return path


def expand(text: str) -> Path:
    """Return the path with a leading `~` replaced; a shell leaves it alone in `npz:~/FILE`."""
    return Path(os.path.expanduser(text))


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Turn what the disk raises while `path` is read or written into a `UserError`."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot read or write {str(path)!r} ({reason(error)}): free space or change permissions, "
            f"then run the command again"
        ) from None
