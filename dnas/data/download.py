"""Bring CIFAR-10 from its official address into the folder of data sets, once."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from dnas.data import cifar10
from dnas.data.extract import SLACK, extract
from dnas.data.fetch import Progress, fetch, verify
from dnas.data.files import directory, disk

OFFICIAL_URL = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
OFFICIAL_MD5 = "c32a1d4ab5d03f1284b67883e8d13530"


class Archive(NamedTuple):
    """A `.tar.gz` of a known content.

    Attributes:
        url: where it is published.
        md5: its published checksum, in hexadecimal.
        sizes: bytes of each file that is taken out of it, by name.
    """

    url: str
    md5: str
    sizes: Mapping[str, int]


class Outcome(NamedTuple):
    """What a download came to: the `folder` of the files, and whether they were there `already`."""

    folder: Path
    already: bool


def download_cifar10(
    data_dir: str | Path | None = None, url: str = OFFICIAL_URL, progress: Progress | None = None
) -> Outcome:
    """Download CIFAR-10's binary version into `data_dir/cifar-10-batches-bin`, unless it is there.

    A cut download is continued by the next call. An archive that the user put into `data_dir` is checked and unpacked
    without a connection. The archive is kept.

    Args:
        data_dir: see `files.directory`.
        url: address of the archive, if a copy of the official one is to be used.
        progress: called with the bytes downloaded and, if known, their total.

    Raises:
        UserError: if the archive cannot be downloaded, is another file, or cannot be unpacked.
    """
    size = cifar10.RECORDS * cifar10.RECORD_BYTES
    sizes = dict.fromkeys((*cifar10.TRAIN_FILES, cifar10.TEST_FILE), size)
    return obtain(Archive(url, OFFICIAL_MD5, sizes), directory(data_dir), progress=progress)


def obtain(archive: Archive, data_dir: Path, *, progress: Progress | None = None, wait: float = 1.0) -> Outcome:
    """Download and unpack `archive` into `data_dir`, unless it is there; `wait` is as in `fetch`."""
    folder = cifar10.find(data_dir)
    if _complete(folder, archive.sizes):
        return Outcome(folder, already=True)
    with disk(data_dir):
        data_dir.mkdir(parents=True, exist_ok=True)
    path = data_dir / archive.url.rpartition("/")[2]
    if path.exists():
        verify(path, archive.md5, "remove it and run the command again")
    else:
        limit = sum(archive.sizes.values()) + SLACK
        fetch(archive.url, path, md5=archive.md5, limit=limit, progress=progress, wait=wait)
    extract(path, data_dir / cifar10.FOLDER, archive.sizes)
    return Outcome(data_dir / cifar10.FOLDER, already=False)


def _complete(folder: Path, sizes: Mapping[str, int]) -> bool:
    return all((folder / name).is_file() and (folder / name).stat().st_size == size for name, size in sizes.items())
