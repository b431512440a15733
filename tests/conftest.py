"""What the tests share: compiled programs, tiny runs and tables, and how sentences and pages are judged.

Fixtures import what they need of the library themselves: JAX reads the variables below when it is imported.
"""

import gc
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from html import escape
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest

if TYPE_CHECKING:
    from dnas.run.interrupt import Stop
    from dnas.table import Table

# Test processes compile the same tiny programs again and again; the cache changes no bit of what they compute.
# The first process makes the folder and names it in the environment, from which its workers take it.
if "DNAS_TEST_CACHE" not in os.environ:
    os.environ["DNAS_TEST_CACHE"] = tempfile.mkdtemp(prefix="dnas-tests-")
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.environ["DNAS_TEST_CACHE"]
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0.2"

# Compiling tiny programs is most of what the tests take, and a fraction of that without optimisation. Flags in the
# environment take precedence: `XLA_FLAGS= scripts/test` tests what users run.
QUICK = (
    "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false --xla_llvm_disable_expensive_passes=true"
    " --xla_cpu_opt_preset=CPU_OPT_PRESET_FAST_COMPILE --xla_cpu_parallel_codegen_split_count=1"
)
os.environ.setdefault("XLA_FLAGS", QUICK)


@pytest.fixture(scope="module", autouse=True)
def _what_stays_is_not_searched_for_garbage() -> Iterator[None]:
    """Programs and their traces stay for the whole session; the collector would look at all of them again and again."""
    yield
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if not hasattr(session.config, "workerinput"):
        shutil.rmtree(os.environ["DNAS_TEST_CACHE"], ignore_errors=True)


TINY = (
    "space.channels=2",
    "space.nodes=1",
    "space.ops=none,max_pool_3x3,skip_connect,dil_conv_3x3",
    "search.epochs=3",
    "search.batch_size=8",
    "search.chunk_steps=2",
    "search.alpha_lr=0.1",
    "retrain.channels=2",
    "retrain.epochs=3",
    "retrain.batch_size=8",
    "retrain.chunk_steps=2",
    "retrain.drop_path=0.2",
)
"""Settings of a search that takes seconds; chunks do not divide the epoch, so that stopping within one is covered."""


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    """`TINY`, for tests that call Python."""
    return TINY


@pytest.fixture(scope="session")
def tiny_words() -> list[str]:
    """`TINY` as command-line words."""
    return [word for setting in TINY for word in ("--set", setting)]


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of 40 training and 20 test images, 8x8, of two classes that differ in brightness."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", 40), ("test", 20)):
        labels = np.arange(count) % 2
        arrays[f"y_{part}"] = labels
        arrays[f"x_{part}"] = (rng.integers(0, 128, (count, 8, 8, 1)) + 100 * labels[:, None, None, None]).astype(
            np.uint8
        )
    path = tmp_path_factory.mktemp("images") / "images.npz"
    np.savez(path, **arrays)
    return path


@pytest.fixture(scope="session")
def table_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete table of NAS-Bench-201's space: noise for the data sets `cifar10` and `other`."""
    from dnas.benchmarks import nasbench201

    rng = np.random.default_rng(0)
    ops = np.array(list(product(range(5), repeat=6)), np.uint8)
    columns = {
        f"{split}{epochs}_cifar10": 100 * rng.random(len(ops)) for split in ("test", "val") for epochs in (12, 200)
    }
    path = tmp_path_factory.mktemp("table") / "table.npz"
    np.savez(
        path,
        ops=ops,
        op_names=np.array(nasbench201.OPS, "S"),
        edges=np.array(nasbench201.EDGES, np.uint8),
        **columns,
        test200_other=100 * rng.random(len(ops)),
        cost12_cifar10_s=rng.uniform(30, 200, len(ops)),
        flops_cifar10_M=rng.uniform(8, 200, len(ops)),
    )
    return path


@pytest.fixture(scope="session")
def published_table() -> "Table":
    """The published table of NAS-Bench-201, where it lies beside the checkout."""
    from dnas.benchmarks import nasbench201

    folder = Path(__file__).resolve().parents[1].parent / "shared" / "data"
    if not (folder / nasbench201.FOLDER / nasbench201.FILE).is_file():
        pytest.skip("the published table of NAS-Bench-201 is not here; made-up tables test the same laws")
    return nasbench201.load(data_dir=folder)


@pytest.fixture
def sentence() -> Callable[..., AbstractContextManager[None]]:
    """Expect a `UserError` whose message is one sentence that holds all the given words."""
    from dnas.errors import UserError

    @contextmanager
    def expect(*words: object) -> Iterator[None]:
        with pytest.raises(UserError) as caught:
            yield
        text = str(caught.value)
        assert "\n" not in text
        assert ". " not in text
        assert not text.endswith(".")
        assert caught.value.__cause__ is None
        for word in words:
            assert str(word) in text, f"no {str(word)!r} in {text!r}"

    return expect


@pytest.fixture
def stop_after() -> Callable[[int], "Stop"]:
    """Return `(chunks) -> Stop`: it asks to stop once so many chunks of work are done, like a user with good timing."""
    from dnas.run.interrupt import Stop

    class StopAfter(Stop):
        def __init__(self, chunks: int) -> None:
            super().__init__()
            self.left = chunks

        @property
        def requested(self) -> bool:
            self.left -= 1
            if self.left == 0:
                self.signum = 15
            return self.signum is not None

    return StopAfter


class Page(HTMLParser):
    """Reads a page and checks that every tag is closed in order."""

    VOID = frozenset(("meta", "br", "hr", "link", "img", "input"))

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: Counter[str] = Counter()
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())


@pytest.fixture(scope="session")
def read_page() -> type[Page]:
    """Return `(text of a page) -> Page`, with its `tags`, `attributes` and visible `text`."""
    return Page


@pytest.fixture
def browse(tmp_path: Path) -> Callable[[Path], tuple[str, list[str]]]:
    """Return `(path of a page) -> (the document in a real browser, what the console said)`."""
    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if program is None:
        pytest.skip("no chromium or google-chrome on PATH: install one to see the page in a browser")

    def open_page(path: Path) -> tuple[str, list[str]]:
        command = [program, *BROWSER_FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return open_page


BROWSER_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--v=0",
)
MEASURE = """<script>
addEventListener("load", () => {
  const shown = (frame, kind) => [...frame.contentDocument.querySelectorAll(".picture." + kind)]
    .filter((picture) => picture.getBoundingClientRect().width > 0).length;
  const measured = [...document.querySelectorAll("iframe")].map((frame) => {
    const root = frame.contentDocument.documentElement;
    return [root.clientWidth, root.scrollWidth, root.scrollHeight, shown(frame, "wide"), shown(frame, "narrow")];
  });
  console.log("measured");
  document.title = JSON.stringify(measured);
});
</script>"""
WIDE = (390, '<!doctype html><body><div style="width:2000px">wide</div></body>')


class Frame(NamedTuple):
    """What a page is like in a frame: its sizes in pixels, and how many pictures of each kind show."""

    client_width: int
    scroll_width: int
    scroll_height: int
    wide: int
    narrow: int


@pytest.fixture
def measure(
    browse: Callable[[Path], tuple[str, list[str]]], tmp_path: Path
) -> Callable[[Sequence[tuple[int, str]]], list[Frame]]:
    """Return `(width and text of pages) -> a Frame of each`, all seen in one window that says nothing of its own."""

    def look(pages: Sequence[tuple[int, str]]) -> list[Frame]:
        # The last frame is wider than it should be: it shows that the measurement sees such a thing.
        wrapper = tmp_path / "wrapper.html"
        wrapper.write_text(
            "<!doctype html><meta charset='utf-8'>"
            + "".join(
                f'<iframe style="width:{width}px;border:0" srcdoc="{escape(page)}"></iframe>'
                for width, page in (*pages, WIDE)
            )
            + MEASURE,
            encoding="utf-8",
        )
        document, console = browse(wrapper)
        assert len(console) == 1
        assert "measured" in console[0]
        title = re.search(r"<title>(.*?)</title>", document)
        assert title is not None
        *frames, wide = (Frame(*numbers) for numbers in json.loads(title[1]))
        assert wide.scroll_width >= 2000
        assert len(frames) == len(pages)
        return frames

    return look
