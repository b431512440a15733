"""The one error that a user's input can cause, and the helpers that word it."""

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Bad input: the message is one sentence with what was got, what was expected and what to do.

    The command line prints it without a traceback and exits with code 2.
    """


class CannotWrite(UserError):
    """A file that could not be written: what was computed is not to blame, and the same command may succeed later."""

    def __init__(self, path: object, error: BaseException, more: str = "") -> None:
        super().__init__(f"cannot write {str(path)!r} ({reason(error)}): free disk space or permissions{more}")


LISTED = 12
"""How many options a message lists at most; one that lists more is read by nobody."""


def unknown(kind: str, name: str, options: Iterable[str]) -> UserError:
    """Return the error for a `name` that is none of `options`, with the nearest one suggested.

    Of many options only those most like `name` are listed, and the first of those that are equally unlike it.

    >>> str(unknown("space", "dart", ["darts", "nasbench201"]))
    "unknown space 'dart': did you mean 'darts'? (known: darts, nasbench201)"
    """
    options = list(options)
    near = difflib.get_close_matches(name, sorted(options), n=1, cutoff=0.5)
    hint = f": did you mean {near[0]!r}?" if near else ""
    likest = sorted(options, key=lambda option: -difflib.SequenceMatcher(None, name, option).ratio())[:LISTED]
    rest = f" and {len(options) - LISTED} more" if len(options) > LISTED else ""
    return UserError(f"unknown {kind} {name!r}{hint} (known: {', '.join(sorted(likest))}{rest})")


def reason(error: BaseException) -> str:
    """Return why `error` came about: the first sentence of its message, on one line and without the full stop."""
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(text.split()).partition(". ")[0].rstrip(".")
