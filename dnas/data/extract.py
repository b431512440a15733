"""Take known files out of a `.tar.gz` that is not trusted."""

import gzip
import os
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from dnas.data.files import disk
from dnas.errors import UserError, reason

CHUNK = 1 << 20
SLACK = 1 << 20
"""Bytes that an archive may hold beyond the expected files: headers, padding and small documents."""


class _Refused(Exception):
    """Why an archive is not taken."""


class _Capped(gzip.GzipFile):
    """A gzip file that refuses to give more than `limit` bytes, so that a small archive cannot fill the memory."""

    def __init__(self, path: Path, limit: int) -> None:
        super().__init__(path, "rb")
        self._left = limit

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(self._left + 1 if size is None or size < 0 else min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise _Refused("it unpacks to far more than the expected files")
        return data


def extract(archive: Path, folder: Path, sizes: Mapping[str, int]) -> None:
    """Unpack the files `sizes` of `archive` into `folder`, replacing those that are there.

    A member counts as an expected file if it is a regular file called `folder.name/NAME` and has exactly the expected
    size. Other regular files in that folder are left out. Nothing is written under a name that the archive gives, and
    nothing appears in `folder` until everything was unpacked next to it.

    Args:
        archive: a gzip-compressed tar file.
        folder: where to put the files; made if it is missing.
        sizes: bytes of each expected file, by its name.

    Raises:
        UserError: if a member is a link or device or lies outside the folder, if an expected file is missing or has
            another size, if more than `SLACK` bytes are left over, if the archive is damaged or the disk is full.
    """
    temporary = folder.with_name(folder.name + ".part")
    with disk(temporary):
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
    try:
        with disk(archive):
            _unpack(archive, temporary, folder.name, sizes)
        with disk(folder):
            folder.mkdir(exist_ok=True)
            for name in sizes:
                os.replace(temporary / name, folder / name)
    except _Refused as refusal:
        raise UserError(
            f"the archive {str(archive)!r} cannot be used because {refusal}: remove it and run the command again"
        ) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unpack(archive: Path, target: Path, inside: str, sizes: Mapping[str, int]) -> None:
    missing = set(sizes)
    try:
        with (
            _Capped(archive, sum(sizes.values()) + SLACK) as stream,
            tarfile.open(fileobj=stream, mode="r|") as members,
        ):
            for member in members:
                name = _expected(member, inside, sizes)
                if name is None:
                    continue
                if name not in missing:
                    raise _Refused(f"it holds {name!r} twice")
                _write(members, member, target / name)
                missing.remove(name)
            # The archive's check sum stands at its end, which the last member need not reach.
            while stream.read(CHUNK):
                pass
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise _Refused(f"it is damaged ({reason(error)})") from None
    if missing:
        raise _Refused(f"it lacks {', '.join(sorted(missing))}")


def _expected(member: tarfile.TarInfo, inside: str, sizes: Mapping[str, int]) -> str | None:
    """Return the name of the expected file that `member` is, or `None` if it is to be left out."""
    path = PurePosixPath(member.name)
    if ".." in path.parts or "\\" in member.name or path.parts[:1] != (inside,):
        raise _Refused(f"its member {member.name!r} lies outside {inside!r}")
    if member.isdir():
        return None
    if not member.isreg() or member.issparse():
        raise _Refused(f"its member {member.name!r} is not a plain file")
    if len(path.parts) != 2 or path.name not in sizes:
        return None
    if member.size != sizes[path.name]:
        raise _Refused(f"its member {member.name!r} has {member.size:,} bytes, expected {sizes[path.name]:,}")
    return path.name


def _write(members: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    source = members.extractfile(member)
    if source is None:
        raise _Refused(f"its member {member.name!r} is not a plain file")
    data = source.read()
    with disk(path):
        path.write_bytes(data)
