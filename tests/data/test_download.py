import errno
import functools
import hashlib
import http.server
import io
import os
import socket
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dnas.data import cifar10, download, extract, fetch
from dnas.data.download import Archive, Outcome, download_cifar10, obtain

SIZES = {"data_batch_1.bin": 300_000, "test_batch.bin": 200_000}
CONTENT = {name: os.urandom(size) for name, size in SIZES.items()}
INSIDE = cifar10.FOLDER


def _tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in CONTENT.items():
            info = tarfile.TarInfo(f"{INSIDE}/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


GOOD = _tar()


@dataclass
class Server:
    """What the local server does, and what it was asked for."""

    url: str
    payload: bytes = GOOD
    cuts: list[int] = field(default_factory=list)
    ranges: bool = True
    content_range: str | None = None
    length: bool = True
    status: int | None = None
    asked: list[str | None] = field(default_factory=list)

    def archive(self) -> Archive:
        return Archive(self.url, hashlib.md5(self.payload).hexdigest(), SIZES)


class Handler(http.server.BaseHTTPRequestHandler):
    def __init__(self, holder: list[Server], *args: Any) -> None:
        self.holder = holder
        super().__init__(*args)

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        server = self.holder[0]
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if server.status is not None:
            self.send_error(server.status)
            return
        size = len(server.payload)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and server.ranges else 0
        if start >= size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{size}")
            self.end_headers()
            return
        self.send_response(206 if asked and server.ranges else 200)
        if asked and server.ranges:
            self.send_header("Content-Range", server.content_range or f"bytes {start}-{size - 1}/{size}")
        if server.length:
            self.send_header("Content-Length", str(size - start))
        self.end_headers()
        until = server.cuts.pop(0) if server.cuts else size
        self.wfile.write(server.payload[start:until])


@pytest.fixture
def server(monkeypatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    holder: list[Server] = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, holder)) as running:
        holder.append(Server(f"http://127.0.0.1:{running.server_address[1]}/cifar-10-binary.tar.gz"))
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield holder[0]
        running.shutdown()
        thread.join()


def _obtain(server: Server, folder: Path, **settings: Any) -> Outcome:
    return obtain(server.archive(), folder, wait=0, **settings)


def _check(folder: Path) -> None:
    """The files are there, whole, and nothing is left over."""
    assert {path.name: path.read_bytes() for path in (folder / INSIDE).iterdir()} == CONTENT
    assert {path.name for path in folder.iterdir()} == {INSIDE, "cifar-10-binary.tar.gz"}


def test_the_files_are_downloaded_and_unpacked(server, tmp_path):
    told: list[tuple[int, int | None]] = []
    outcome = _obtain(server, tmp_path / "new" / "data", progress=lambda *step: told.append(step))
    assert outcome == Outcome(tmp_path / "new" / "data" / INSIDE, already=False)
    _check(tmp_path / "new" / "data")
    assert server.asked == [None]
    assert told[-1] == (len(GOOD), len(GOOD))
    assert told == sorted(told)


def test_what_is_complete_is_left_alone(server, tmp_path):
    _obtain(server, tmp_path)
    assert _obtain(server, tmp_path) == Outcome(tmp_path / INSIDE, already=True)
    assert _obtain(server, tmp_path / INSIDE) == Outcome(tmp_path / INSIDE, already=True)
    assert len(server.asked) == 1


def test_a_damaged_file_is_replaced_from_the_archive_without_a_connection(server, tmp_path):
    _obtain(server, tmp_path)
    (tmp_path / INSIDE / "test_batch.bin").write_bytes(b"short")
    assert not _obtain(server, tmp_path).already
    _check(tmp_path)
    assert len(server.asked) == 1


def test_a_cut_connection_is_continued_where_it_was_cut(server, tmp_path):
    half, more = len(GOOD) // 2, len(GOOD) * 3 // 4
    server.cuts = [half, more]
    told: list[int] = []
    _obtain(server, tmp_path, progress=lambda done, total: told.append(done))
    _check(tmp_path)
    assert server.asked == [None, f"bytes={half}-", f"bytes={more}-"]
    assert told == sorted(set(told))


def test_a_later_command_continues_too(server, tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz.part").write_bytes(GOOD[:1000])
    _obtain(server, tmp_path)
    _check(tmp_path)
    assert server.asked == ["bytes=1000-"]


def test_a_connection_that_is_always_cut_ends_in_one_sentence(server, tmp_path, sentence):
    server.cuts = [100, 200, 300, 400, 500, 600]
    with sentence(server.url, "cut", "run the command again to continue", tmp_path / "cifar-10-binary.tar.gz"):
        _obtain(server, tmp_path)
    assert server.asked == [None, *(f"bytes={n}00-" for n in (1, 2, 3, 4))]
    assert (tmp_path / "cifar-10-binary.tar.gz.part").read_bytes() == GOOD[:500]


def test_a_server_that_ignores_the_range_starts_again(server, tmp_path):
    server.ranges = False
    server.cuts = [5000]
    _obtain(server, tmp_path)
    _check(tmp_path)
    assert server.asked == [None, "bytes=5000-"]


@pytest.mark.parametrize("content_range", ["bytes 7-9/10", "bytes 1001-2000/2001", "bytes */*", "nonsense"])
def test_an_answer_about_another_range_is_not_appended(server, tmp_path, content_range):
    (tmp_path / "cifar-10-binary.tar.gz.part").write_bytes(GOOD[:1000])
    server.content_range = content_range
    _obtain(server, tmp_path)
    _check(tmp_path)
    assert server.asked == ["bytes=1000-", None]


def test_a_download_that_only_lacked_its_check_is_taken(server, tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz.part").write_bytes(GOOD)
    _obtain(server, tmp_path)
    _check(tmp_path)
    assert server.asked == [f"bytes={len(GOOD)}-"]


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz.part").write_bytes(GOOD + b"more")
    _obtain(server, tmp_path)
    _check(tmp_path)
    assert server.asked == [f"bytes={len(GOOD) + 4}-", None]


def test_a_server_that_tells_no_length_is_read_to_its_end(server, tmp_path):
    server.length = False
    _obtain(server, tmp_path)
    _check(tmp_path)


def test_a_wrong_checksum_deletes_the_download_and_says_so(server, tmp_path, sentence):
    archive = server.archive()._replace(md5="0" * 32)
    with sentence("cifar-10-binary.tar.gz", "wrong MD5", server.archive().md5, "0" * 32, "deleted", "run the command"):
        obtain(archive, tmp_path, wait=0)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_beginning_is_found_by_the_checksum_of_the_whole(server, tmp_path, sentence):
    (tmp_path / "cifar-10-binary.tar.gz.part").write_bytes(b"x" * 1000)
    with sentence("wrong MD5", "deleted"):
        _obtain(server, tmp_path)
    _obtain(server, tmp_path)
    _check(tmp_path)


def test_an_archive_put_there_by_hand_needs_no_connection(server, tmp_path):
    (tmp_path / "cifar-10-binary.tar.gz").write_bytes(GOOD)
    _obtain(server, tmp_path)
    _check(tmp_path)
    assert server.asked == []


def test_a_wrong_archive_put_there_by_hand_is_kept(server, tmp_path, sentence):
    path = tmp_path / "cifar-10-binary.tar.gz"
    path.write_bytes(b"something of the user's")
    with sentence(path, "wrong MD5", "remove it and run the command again"):
        _obtain(server, tmp_path)
    assert path.read_bytes() == b"something of the user's"


def test_a_closed_network_says_which_file_to_put_where(tmp_path, sentence, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/cifar-10-binary.tar.gz"
        with sentence(
            url, "refused", f"put it at {str(tmp_path / 'cifar-10-binary.tar.gz')!r}", "run the command again"
        ):
            download_cifar10(tmp_path, url)


def test_a_closed_network_is_not_tried_again(tmp_path, sentence, monkeypatch):
    def closed(*args: Any, **settings: Any) -> None:
        raise fetch.urllib.error.URLError(socket.gaierror(-3, "Temporary failure in name resolution"))

    monkeypatch.setattr(fetch.urllib.request, "urlopen", closed)
    monkeypatch.setattr(fetch.time, "sleep", lambda seconds: pytest.fail("it waited to try again"))
    with sentence(download.OFFICIAL_URL, "name resolution", tmp_path):
        download_cifar10(tmp_path)


@pytest.mark.parametrize("status", [404, 500])
def test_a_refusal_of_the_server_is_one_sentence(server, tmp_path, sentence, status):
    server.status = status
    with sentence(server.url, f"the server answered {status}", tmp_path):
        _obtain(server, tmp_path)
    assert len(server.asked) == 1


def test_another_kind_of_address_is_one_sentence(tmp_path, sentence):
    with sentence("file:///etc/hosts", "http://", "https://"):
        download_cifar10(tmp_path, "file:///etc/hosts")


def test_an_endless_answer_is_given_up(server, tmp_path, sentence):
    server.payload = bytes(sum(SIZES.values()) + extract.SLACK + 1)
    with sentence(server.url, "longer than", "not the expected file"):
        _obtain(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


class FullDisk(io.BytesIO):
    def write(self, data: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_while_downloading_is_one_sentence(server, tmp_path, sentence, monkeypatch):
    monkeypatch.setattr(fetch, "open", lambda *args: FullDisk(), raising=False)
    with sentence("cifar-10-binary.tar.gz.part", "No space left", "free space"):
        _obtain(server, tmp_path)
    assert len(server.asked) == 1


def test_a_full_disk_while_unpacking_leaves_no_files(server, tmp_path, sentence, monkeypatch):
    def full(self: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, sentence("data_batch_1.bin", "No space left", "free space"):
        patch.setattr(Path, "write_bytes", full)
        _obtain(server, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-binary.tar.gz"]
    _obtain(server, tmp_path)
    _check(tmp_path)


def test_a_folder_that_cannot_be_made_is_one_sentence(server, tmp_path, sentence):
    (tmp_path / "file").write_text("x")
    with sentence(tmp_path / "file" / "data", "then run the command again"):
        _obtain(server, tmp_path / "file" / "data")


def test_an_archive_that_is_refused_leaves_no_files(server, tmp_path, sentence):
    """The checksum does not stand in for the care with which an archive is unpacked."""
    server.payload = GOOD[: len(GOOD) // 2]
    with sentence("cifar-10-binary.tar.gz", "damaged", "remove it and run the command again"):
        _obtain(server, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["cifar-10-binary.tar.gz"]


def test_the_official_archive_is_the_published_one(tmp_path, monkeypatch):
    seen: list[Archive] = []
    monkeypatch.setattr(download, "obtain", lambda archive, folder, **rest: seen.append(archive))
    download_cifar10(tmp_path)
    assert seen[0].url == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    assert seen[0].md5 == "c32a1d4ab5d03f1284b67883e8d13530"
    assert len(seen[0].sizes) == 6
    assert set(seen[0].sizes.values()) == {30_730_000}
