"""scripts/convert_nats_bench, run over a stand-in for the package that reads NATS-Bench's official files."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from dnas.benchmarks import nasbench201

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).parent / "stand_in"


def official(folder: Path) -> Path:
    folder.mkdir()
    (folder / "meta.pickle.pbz2").write_bytes(b"official")
    return folder


def run(*words: str | Path, path: Path = STAND_IN, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ROOT / "scripts" / "convert_nats_bench", *words]
    variables = os.environ | {"PYTHONPATH": str(path)} | env
    return subprocess.run(command, capture_output=True, text=True, env=variables, check=False)


def refuses(folder: Path, *words: str | Path, path: Path = STAND_IN) -> str:
    """Run the script, which must fail in one sentence and leave nothing in `folder`, and return the sentence."""
    before = sorted(folder.rglob("*"))
    done = run(*words, path=path)
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert sorted(folder.rglob("*")) == before
    return done.stderr


@pytest.fixture(scope="module")
def numbers() -> ModuleType:
    spec = importlib.util.spec_from_file_location("stand_in_nats_bench", STAND_IN / "nats_bench.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The stand-in's numbers, converted into the folder that `$DNAS_DATA` names."""
    folder = tmp_path_factory.mktemp("converted")
    done = run(official(folder / "NATS-tss"), DNAS_DATA=str(folder / "data"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"wrote {folder / 'data' / 'nb201.npz'}\n"
    assert done.stderr.splitlines()[-1] == "15,625 of 15,625 architectures"
    assert [path.name for path in (folder / "data").iterdir()] == ["nb201.npz"]
    return folder / "data"


def test_the_file_loads_and_rows_are_the_official_indices(converted: Path, numbers: ModuleType) -> None:
    table = nasbench201.load(data_dir=converted)
    with np.load(table.source, allow_pickle=False) as arrays:
        assert arrays["arch"].astype(str).tolist() == numbers.architectures()
    assert table.datasets == ("cifar10", "cifar100", "imagenet16")
    assert len(np.unique(table.groups)) == len({text[:8] for text in numbers.architectures()})


@pytest.mark.parametrize(
    ("dataset", "epochs", "split", "run_on"),
    [
        ("cifar10", 200, "test", "cifar10"),
        ("cifar10", 200, "val", "cifar10-valid"),
        ("cifar10", 12, "test", "cifar10"),
        ("cifar10", 12, "val", "cifar10-valid"),
        ("cifar100", 200, "test", "cifar100"),
        ("cifar100", 12, "val", "cifar100"),
        ("imagenet16", 200, "val", "ImageNet16-120"),
        ("imagenet16", 12, "test", "ImageNet16-120"),
    ],
)
def test_accuracies_are_means_over_the_trials(
    converted: Path, numbers: ModuleType, dataset: str, epochs: int, split: str, run_on: str
) -> None:
    part = {"test": "test", "val": "valid"}[split]
    every = [
        [numbers.accuracy(index, run_on, str(epochs), part, seed) for seed in numbers.SEEDS[str(epochs)]]
        for index in range(15_625)
    ]
    scores = nasbench201.load(data_dir=converted).scores(dataset, epochs, split)
    np.testing.assert_allclose(100 * scores, np.mean(every, axis=1), rtol=1e-12)


def test_costs_are_training_times_of_12_epochs_and_sizes_those_of_12_epochs(converted: Path) -> None:
    table = nasbench201.load(data_dir=converted)
    index = np.arange(15_625)
    for dataset, images, own in (("cifar10", 0.5, 1.0), ("cifar100", 2.0, 2.0), ("imagenet16", 3.0, 3.0)):
        np.testing.assert_allclose(table.costs(dataset, 12), (50 + index / 100) * images, rtol=1e-12)
        np.testing.assert_array_equal(table.macs[dataset], 10_000_000 + (1_000_000 + 1_000 * index) * own)
        np.testing.assert_array_equal(table.params[dataset], 1_000_000 + 1_000 * index)


def test_the_single_official_file_serves_as_well(tmp_path: Path) -> None:
    (tmp_path / "NATS-few.pickle.pbz2").write_bytes(b"official")
    said = refuses(tmp_path, tmp_path / "NATS-few.pickle.pbz2", tmp_path / "nb201.npz")
    assert "10 architectures, expected 15,625" in said


def test_a_missing_package_is_one_sentence(tmp_path: Path) -> None:
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "nats_bench.py").write_text("raise ModuleNotFoundError('not here', name='nats_bench')\n")
    said = refuses(tmp_path, official(tmp_path / "NATS"), tmp_path / "nb201.npz", path=hidden)
    assert "nats_bench" in said
    assert "pip install nats_bench" in said


def test_a_missing_source_is_one_sentence(tmp_path: Path) -> None:
    said = refuses(tmp_path, tmp_path / "NATS", tmp_path / "nb201.npz")
    assert str(tmp_path / "NATS") in said
    assert "NATS-tss-v1_0-3ffb9-simple" in said


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [("NATS", b"something else", "OSError: Invalid data stream"), ("broken", b"official", "architecture 5 ")],
)
def test_other_or_incomplete_files_are_one_sentence(tmp_path: Path, name: str, content: bytes, word: str) -> None:
    (official(tmp_path / name) / "meta.pickle.pbz2").write_bytes(content)
    said = refuses(tmp_path, tmp_path / name, tmp_path / "nb201.npz")
    assert word in said
    assert "official source" in said


def test_a_file_that_exists_is_kept(tmp_path: Path) -> None:
    (tmp_path / "nb201.npz").write_bytes(b"mine")
    assert "exists" in refuses(tmp_path, official(tmp_path / "NATS"), tmp_path / "nb201.npz")
    assert (tmp_path / "nb201.npz").read_bytes() == b"mine"


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "taken").write_bytes(b"a file, not a folder")
    said = refuses(tmp_path, official(tmp_path / "NATS"), tmp_path / "taken" / "nb201.npz")
    assert "cannot write" in said


def test_help_has_an_example_and_warns_of_pickles() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "scripts/convert_nats_bench ~/Downloads/NATS-tss-v1_0-3ffb9-simple" in done.stdout
    assert "pickle" in done.stdout
    assert "official source" in done.stdout
