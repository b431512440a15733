"""Download one file over HTTP, continuing where an earlier try was cut, and check it before it gets its name."""

import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from dnas.data.files import disk
from dnas.errors import UserError, reason

Progress = Callable[[int, int | None], None]
"""Called with the bytes that are here, and with how many there will be where the server says so."""

_CHUNK = 1 << 18
_TIMEOUT = 30.0


class _Span(NamedTuple):
    start: int
    total: int | None
    limit: int


def fetch(
    url: str,
    path: Path,
    *,
    md5: str,
    limit: int,
    progress: Progress | None = None,
    attempts: int = 5,
    wait: float = 1.0,
) -> None:
    """Download `url` to `path`, through `path` with `.part` added, which a later call continues.

    Args:
        url: an `http` or `https` address.
        path: file to write; it appears only when it is whole and its checksum is right.
        md5: expected checksum in hexadecimal.
        limit: bytes after which the download is given up, against a server that never ends.
        progress: told after each piece how far it is.
        attempts: connections that are tried when one is cut; the first that cannot be made ends it at once.
        wait: seconds between them.

    Raises:
        UserError: if the file cannot be had or written, or its checksum is wrong; then it is deleted.
    """
    if not url.startswith(("http://", "https://")):
        raise UserError(f"cannot download {url!r}: expected an address that starts with http:// or https://")
    part = path.with_name(path.name + ".part")
    why = "the connection was cut"
    for attempt in range(attempts):
        if attempt:
            time.sleep(wait)
        try:
            whole = _transfer(url, part, limit, progress)
        except (OSError, http.client.HTTPException) as error:
            why = _network_reason(error)
            if attempt == 0 or isinstance(error, urllib.error.HTTPError):
                break
            continue
        if whole:
            verify(part, md5, f"it came from {url} and was deleted, run the command again", delete=True)
            with disk(path):
                os.replace(part, path)
            return
    raise UserError(
        f"cannot download {url} ({why}): run the command again to continue, "
        f"or get that file some other way, put it at {str(path)!r} and run the command again"
    )


def verify(path: Path, md5: str, remedy: str, *, delete: bool = False) -> None:
    """Raise `UserError`, ending in `remedy`, unless the MD5 checksum of a file is `md5`; then `delete` it if asked."""
    with disk(path), open(path, "rb") as file:
        got = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
    if got == md5:
        return
    if delete:
        with disk(path):
            path.unlink()
    raise UserError(f"{str(path)!r} has the wrong MD5 checksum {got}, expected {md5}: {remedy}")


def _transfer(url: str, part: Path, limit: int, progress: Progress | None) -> bool:
    """Make one request for what `part` lacks; return whether it is whole now."""
    with disk(part):
        have = part.stat().st_size if part.exists() else 0
    request = urllib.request.Request(url, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            start, total = _position(response)
            if start in (0, have):
                return _copy(response, part, _Span(start, total, limit), progress)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not have:
            raise
        if error.headers.get("Content-Range") == f"bytes */{have}":
            return True
    # The server speaks of another range than the one asked for, so `part` is no beginning of this file.
    with disk(part):
        part.unlink(missing_ok=True)
    return False


def _position(response: Any) -> tuple[int | None, int | None]:
    """Return where in the file the answer starts, `None` if that cannot be told, and the file's size if known."""
    if response.status != http.HTTPStatus.PARTIAL_CONTENT:
        length = response.headers.get("Content-Length", "")
        return 0, int(length) if length.isdigit() else None
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    return (int(match[1]), int(match[2])) if match else (None, None)


def _copy(response: Any, part: Path, span: _Span, progress: Progress | None) -> bool:
    """Write the answer behind the first `span.start` bytes of `part`; return whether the end was reached."""
    done = span.start
    with disk(part), open(part, "ab" if span.start else "wb") as file:
        while True:
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException):
                return False
            if not chunk:
                # A cut connection may look like an end: only the length tells.
                return span.total is None or done == span.total
            done += len(chunk)
            if done > span.limit:
                part.unlink()
                raise UserError(
                    f"{response.url} is longer than {span.limit:,} bytes, so it is not the expected file: "
                    f"check the address and run the command again"
                )
            file.write(chunk)
            if progress is not None:
                progress(done, span.total)


def _network_reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answered {error.code} {error.reason}"
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    return reason(cause) if isinstance(cause, BaseException) else str(cause)
