import gzip
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from dnas.data.extract import SLACK, extract

INSIDE = "images"
CONTENT = {"a.bin": os.urandom(30_000), "b.bin": os.urandom(20_000)}
SIZES = {name: len(content) for name, content in CONTENT.items()}

Member = tuple[tarfile.TarInfo, bytes]


def _member(name: str, content: bytes = b"", **attributes: Any) -> Member:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in attributes.items():
        setattr(info, key, value)
    return info, content


FILES = [_member(f"{INSIDE}/{name}", content) for name, content in CONTENT.items()]


def _tar(*members: Member, level: int = 9) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=level) as tar:
        for info, content in members:
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def _extract(folder: Path, archive: bytes) -> None:
    (folder / "archive.tar.gz").write_bytes(archive)
    extract(folder / "archive.tar.gz", folder / INSIDE, SIZES)


def test_the_expected_files_are_unpacked_and_others_left_out(tmp_path):
    others = [
        _member(INSIDE, type=tarfile.DIRTYPE),
        _member(f"{INSIDE}/readme.html", b"<p>"),
        _member(f"{INSIDE}/deeper/a.bin", b"x"),
    ]
    _extract(tmp_path, _tar(*others, *FILES))
    assert {path.name: path.read_bytes() for path in (tmp_path / INSIDE).iterdir()} == CONTENT
    assert {path.name for path in tmp_path.iterdir()} == {INSIDE, "archive.tar.gz"}


def test_names_may_start_with_a_dot(tmp_path):
    _extract(tmp_path, _tar(*(_member(f"./{info.name}", content) for info, content in FILES)))
    assert (tmp_path / INSIDE / "a.bin").read_bytes() == CONTENT["a.bin"]


def test_files_are_replaced_and_the_users_own_are_kept(tmp_path):
    (tmp_path / INSIDE).mkdir()
    (tmp_path / INSIDE / "a.bin").write_bytes(b"short")
    (tmp_path / INSIDE / "mine.txt").write_bytes(b"mine")
    _extract(tmp_path, _tar(*FILES))
    assert (tmp_path / INSIDE / "a.bin").read_bytes() == CONTENT["a.bin"]
    assert (tmp_path / INSIDE / "mine.txt").read_bytes() == b"mine"


def test_what_an_interrupted_run_left_is_cleared(tmp_path):
    (tmp_path / f"{INSIDE}.part").mkdir()
    (tmp_path / f"{INSIDE}.part" / "a.bin").write_bytes(b"half")
    _extract(tmp_path, _tar(*FILES))
    assert {path.name for path in tmp_path.iterdir()} == {INSIDE, "archive.tar.gz"}


SYMLINK = {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}
EVIL = {
    "parent": ([*FILES, _member("../x", b"x")], ["'../x'", "outside"]),
    "parent inside": ([*FILES, _member(f"{INSIDE}/../../x", b"x")], ["outside"]),
    "absolute": ([*FILES, _member("/x", b"x")], ["'/x'", "outside"]),
    "absolute folder": ([_member(f"/{INSIDE}/a.bin", CONTENT["a.bin"]), *FILES[1:]], ["outside"]),
    "elsewhere": ([*FILES, _member("x", b"x")], ["'x'", "outside"]),
    "backslash": ([*FILES, _member(f"{INSIDE}/..\\..\\x", b"x")], ["outside"]),
    "symlink": ([*FILES, _member(f"{INSIDE}/x", **SYMLINK)], ["/x'", "plain file"]),
    "symlink as a file": ([_member(f"{INSIDE}/a.bin", **SYMLINK), *FILES[1:]], ["/a.bin'", "plain file"]),
    "symlink as the folder": ([_member(INSIDE, **SYMLINK), *FILES], ["plain file"]),
    "hard link": ([*FILES, _member(f"{INSIDE}/x", type=tarfile.LNKTYPE, linkname="/etc/passwd")], ["plain file"]),
    "device": ([*FILES, _member(f"{INSIDE}/x", type=tarfile.CHRTYPE)], ["plain file"]),
    "pipe": ([*FILES, _member(f"{INSIDE}/x", type=tarfile.FIFOTYPE)], ["plain file"]),
    "huge": ([*FILES, _member(f"{INSIDE}/x", bytes(SLACK))], ["far more than the expected files"]),
    "huge at first": ([_member(f"{INSIDE}/x", bytes(2 * SLACK)), *FILES], ["far more than the expected files"]),
    "huge header": ([_member(f"{INSIDE}/{'x' * 2 * SLACK}"), *FILES], ["far more than the expected files"]),
    "twice": ([*FILES, FILES[1]], ["'b.bin' twice"]),
    "too short": ([FILES[0], _member(f"{INSIDE}/b.bin", b"x")], ["b.bin' has 1 bytes", "expected 20,000"]),
    "too long": ([FILES[0], _member(f"{INSIDE}/b.bin", bytes(20_001))], ["20,001 bytes", "expected 20,000"]),
    "incomplete": (FILES[:1], ["lacks b.bin"]),
    "no member": ([], ["lacks a.bin, b.bin"]),
}


@pytest.mark.parametrize("case", EVIL)
def test_a_malicious_archive_writes_nothing(tmp_path, sentence, case):
    members, words = EVIL[case]
    folder = tmp_path / "inner"
    folder.mkdir()
    with sentence(folder / "archive.tar.gz", "cannot be used because", "remove it and run the command again", *words):
        _extract(folder, _tar(*members))
    assert [path.name for path in folder.iterdir()] == ["archive.tar.gz"]
    assert [path.name for path in tmp_path.iterdir()] == ["inner"]


GOOD = _tar(*FILES)
DAMAGED = {
    "empty": b"",
    "text": b"no archive",
    "cut": GOOD[: len(GOOD) // 2],
    "overwritten": GOOD[:600] + bytes(600) + GOOD[1200:],
    "check sum wrong": _tar(*FILES, level=0).replace(CONTENT["a.bin"][:99], bytes(99)),
    "no check sum": GOOD[:-8],
    "no tar": gzip.compress(b"no tar" * 999),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_archive_writes_nothing(tmp_path, sentence, case):
    with sentence("archive.tar.gz", "damaged", "remove it"):
        _extract(tmp_path, DAMAGED[case])
    assert not (tmp_path / INSIDE).exists()


def test_a_missing_archive_is_one_sentence(tmp_path, sentence):
    with sentence(tmp_path / "none.tar.gz", "cannot read or write"):
        extract(tmp_path / "none.tar.gz", tmp_path / INSIDE, SIZES)
    assert list(tmp_path.iterdir()) == []
