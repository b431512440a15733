"""The page in a real browser: no console message, no sideways scrolling at desktop and phone width."""

import json
import re
import shutil
import subprocess
from html import escape

import pytest

from dnas.report import write_report

FLAGS = (
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
WIDTHS = (1280, 390)
# The last frame is wider than it should be: it shows that the measurement sees such a thing.
WIDE = '<!doctype html><body><div style="width:2000px">wide</div></body>'
MEASURE = """<script>
addEventListener("load", () => {
  const widths = [...document.querySelectorAll("iframe")].map((frame) => {
    const root = frame.contentDocument.documentElement;
    return [root.clientWidth, root.scrollWidth, root.scrollHeight];
  });
  console.log("measured");
  document.title = JSON.stringify(widths);
});
</script>"""


@pytest.fixture
def browse(tmp_path):
    """Return a function that opens a file and returns the document then and what the console said."""
    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if program is None:
        pytest.skip("no chromium or google-chrome on PATH: install one to see the page in a browser")

    def open_page(path):
        command = [program, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout, [line for line in done.stderr.splitlines() if "CONSOLE" in line]

    return open_page


def test_page_renders_without_console_messages(browse, make_run):
    document, console = browse(write_report(make_run()))
    assert "<h1>This search" in document
    assert console == []


def test_page_does_not_scroll_sideways(browse, make_run, v2, tmp_path):
    long_names = type(v2)(v2.space, tuple((f"{name}_of_a_long_name", cell) for name, cell in v2.cells))
    run = make_run(genotype=long_names, baselines=(0.9, 0.91, 0.92, 0.93), command="dnas " + "x" * 400)
    html = write_report(run).read_text(encoding="utf-8")
    frames = [*((width, html) for width in WIDTHS), (390, WIDE)]
    wrapper = tmp_path / "wrapper.html"
    wrapper.write_text(
        "<!doctype html><meta charset='utf-8'>"
        + "".join(f'<iframe style="width:{w}px;border:0" srcdoc="{escape(page)}"></iframe>' for w, page in frames)
        + MEASURE,
        encoding="utf-8",
    )
    document, console = browse(wrapper)
    assert len(console) == 1
    assert "measured" in console[0]
    measured = json.loads(re.search(r"<title>(.*?)</title>", document)[1])
    for (width, _), (client, scroll, height) in zip(frames[:2], measured[:2], strict=True):
        assert client > width - 30
        assert scroll <= client
        assert height > 2000
    assert measured[2][1] >= 2000
