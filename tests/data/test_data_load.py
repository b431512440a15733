import subprocess
import sys

import numpy as np
import pytest

from dnas import data


def test_the_name_chooses_the_loader_and_the_rest_is_its_argument(tmp_path, arrays):
    np.savez(tmp_path / "a:b.npz", **arrays)
    assert data.load(f"npz:{tmp_path}/a:b.npz").name == f"npz:{tmp_path}/a:b.npz"
    assert data.load("digits").name == "digits"


def test_the_names_are_those_of_the_four_kinds():
    assert {name.partition(":")[0] for name in data.NAMES} == {"digits", "cifar10", "npz", "folder"}


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("digit", ["unknown data set 'digit'", "did you mean 'digits'?", "npz:FILE", "folder:DIR"]),
        ("cifar-10", ["did you mean 'cifar10'?"]),
        ("floder:images", ["floder:images", "known:"]),
        ("", ["unknown data set ''"]),
        ("npz", ["'npz'", "FILE", "write 'npz:FILE'"]),
        ("npz:", ["write 'npz:FILE'"]),
        ("folder:", ["write 'folder:DIR'"]),
        ("digits:3", ["'digits:3'", "takes nothing", "write 'digits'"]),
        ("cifar10:x", ["write 'cifar10'"]),
    ],
)
def test_a_wrong_name_is_one_sentence(sentence, spec, words):
    with sentence(*words):
        data.load(spec)


def test_importing_the_package_imports_no_heavy_library():
    code = "import sys, dnas.data; print([m for m in ('sklearn', 'PIL', 'urllib.request') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
