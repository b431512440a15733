"""The study's page in a real browser: no console message, no sideways scrolling from phone to desktop width."""

import json
import re
import shutil
import subprocess
from html import escape

import pytest

from dnas.report.study import study_page, write_study

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
WIDTHS = (1280, 800, 390)
# The last frame is wider than it should be: it shows that the measurement sees such a thing.
WIDE = '<!doctype html><body><div style="width:2000px">wide</div></body>'
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


def test_page_renders_without_console_messages(browse, make_study, tmp_path):
    document, console = browse(write_study(make_study(), tmp_path))
    assert "<h1>The best of 3 methods" in document
    assert console == []


@pytest.mark.parametrize("truth", [True, False])
def test_page_does_not_scroll_sideways(browse, make_study, tmp_path, truth):
    arms = ("darts", "darts@search.alpha_lr=0.003,search.weight_decay=0.0003,search.batch_size=128", "x" * 80)
    study = make_study(arms, truth=truth, failed=((arms[0], 1),), command="dnas " + "y" * 400)
    html = study_page(study)
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
    pictures = 2 if truth else 0
    for (width, _), (client, scroll, height, wide, narrow) in zip(frames[:3], measured[:3], strict=True):
        assert client > width - 30
        assert scroll <= client
        assert height > 1500
        assert (wide, narrow) == ((pictures, 0) if width > 760 else (0, pictures))
    assert measured[3][1] >= 2000
