"""Real processes: signals, kill -9, a full disk, and the whole of a tiny run."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest


def dnas(*words: str, limit: int | None = None) -> subprocess.Popen[str]:
    """Start `dnas` in a process; `limit` caps the size of any file it writes, as a full disk would."""

    code = "from dnas.cli import main; main()"
    if limit is not None:
        cap = f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))"
        code = f"import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); {cap}; {code}"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "COLUMNS": "200"},
    )


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 300
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(scope="module")
def words(images: Path, tiny_words: list[str]) -> list[str]:
    return ["search", "--data", f"npz:{images}", "--baseline", "0", *tiny_words]


def last_lines(path: Path) -> list[tuple[str, int, float]]:
    lines = map(json.loads, (path / "metrics.jsonl").read_text().splitlines())
    return [(line["phase"], line["step"], line["train_loss"]) for line in lines]


def test_sigterm_then_kill_then_resume(words: list[str], tmp_path: Path) -> None:
    whole = dnas(*words, "--run-dir", str(tmp_path / "whole"))
    out, err = whole.communicate()
    assert whole.returncode == 0, err
    assert "report:" in out
    assert (tmp_path / "whole" / "report.html").exists()

    run = tmp_path / "run"
    process = dnas(*words, "--run-dir", str(run))
    wait_for(run / "checkpoints" / "search", process)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate()
    assert process.returncode == 143, err
    assert f"dnas search --resume {run}" in out
    assert "Traceback" not in err

    process = dnas("search", "--resume", str(run))
    wait_for(run / "checkpoints" / "retrain", process)
    process.kill()
    process.communicate()

    process = dnas("search", "--resume", str(run))
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert json.loads((run / "genotype.json").read_text()) == json.loads((tmp_path / "whole/genotype.json").read_text())
    assert last_lines(run) == last_lines(tmp_path / "whole")

    again = dnas("search", "--resume", str(run))
    out, err = again.communicate()
    assert again.returncode == 0, err
    assert "complete already" in out


def test_ctrl_c_while_compiling_exits_130(words: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = dnas(*words, "--run-dir", str(run))
    wait_for(run / "config.json", process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate()
    assert process.returncode == 130, err
    assert "--resume" in out
    assert "Traceback" not in err


def test_a_full_disk_is_one_sentence_and_loses_nothing(words: list[str], tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = dnas(*words, "--run-dir", str(run), limit=6000)
    _, err = process.communicate()
    # A file-size limit reaches Orbax's threads, which a full disk does not, and which may write on the same line.
    assert process.returncode == 2, err
    sentences = re.findall("dnas: error: .*", err)
    assert len(sentences) == 1
    assert f"--resume {run}" in sentences[0]
    resumed = dnas("search", "--resume", str(run))
    _, err = resumed.communicate()
    assert resumed.returncode == 0, err
