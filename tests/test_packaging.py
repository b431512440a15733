"""The wheel holds the two packages and works outside the checkout; the constraints pin everything exactly."""

import configparser
import email
import importlib.metadata
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES = ("dnas", "search_spaces")
PYTHONS = ("3.11", "3.12", "3.13")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    subprocess.run(command, check=True, capture_output=True)
    (path,) = folder.glob("*.whl")
    return path


def test_wheel_holds_exactly_the_two_packages(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")}
    expected = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert names == expected
    assert {f"{package}/{name}" for package in PACKAGES for name in ("__init__.py", "py.typed")} <= names


def test_wheel_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (info,) = {name.split("/")[0] for name in archive.namelist() if ".dist-info/" in name}
        metadata = email.message_from_bytes(archive.read(f"{info}/METADATA"))
        entries = configparser.ConfigParser()
        entries.read_string(archive.read(f"{info}/entry_points.txt").decode())
        licence = archive.read(f"{info}/licenses/LICENSE")
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert set(metadata.get_all("Provides-Extra", [])) == {
        "test",
        "bench",
        "docs",
        "export",
        "grain",
        "pareto",
        "cuda",
        "tpu",
        "notebook",
    }
    assert licence == (ROOT / "LICENSE").read_bytes()
    assert entries["console_scripts"]["dnas"] == "dnas.cli:main"
    assert entries["dnas.search_spaces"]["builtin"] == "search_spaces"
    assert entries["dnas.methods"]["builtin"] == "dnas.methods"


PROBE = """
import importlib.metadata, dnas, search_spaces
for group in ("dnas.search_spaces", "dnas.methods"):
    importlib.metadata.entry_points(group=group)["builtin"].load()
print(dnas.__file__, search_spaces.__file__, sep="\\n")
"""


def test_installed_wheel_works_outside_the_checkout(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    install = [sys.executable, "-m", "pip", "--python", venv / "bin/python", "install", "--no-deps", "--no-index"]
    subprocess.run([*install, "--quiet", wheel], check=True, cwd=tmp_path)
    # Dependencies come from the present environment: a path added by a .pth file does not run the .pth files that it
    # holds, so an editable installation there stays out of sight.
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (venv / "lib" / version / "site-packages" / "dependencies.pth").write_text("\n".join(paths) + "\n")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def run(*command: str | Path) -> str:
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    files = run(venv / "bin/python", "-c", PROBE).split()
    assert [Path(file).is_relative_to(venv) for file in files] == [True, True]
    assert "search" in run(venv / "bin/dnas", "--help")


def pins() -> list[Requirement]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return [Requirement(line) for line in lines if not line.startswith("#")]


def applies(requirement: Requirement, python: str, extra: str = "") -> bool:
    environment = {**default_environment(), "python_version": python, "python_full_version": f"{python}.0"}
    return requirement.marker is None or requirement.marker.evaluate({**environment, "extra": extra})


def versions(python: str) -> dict[str, str]:
    chosen: dict[str, str] = {}
    for pin in pins():
        if applies(pin, python):
            (specifier,) = pin.specifier
            assert canonicalize_name(pin.name) not in chosen, f"{pin.name} is pinned twice for Python {python}"
            chosen[canonicalize_name(pin.name)] = specifier.version
    return chosen


def test_constraints_are_names_and_exact_versions() -> None:
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines():
        assert re.fullmatch(r"#[^:]*|[a-z0-9-]+==[0-9][0-9a-z.]*(; python_version [<>=]+ \"3\.\d+\".*)?", line), line
        assert "://" not in line
        assert "@" not in line


@pytest.mark.parametrize("python", PYTHONS)
def test_every_direct_dependency_is_pinned_within_its_bounds(python: str) -> None:
    project = PROJECT["project"]
    chosen = versions(python)
    wanted = project["dependencies"] + project["optional-dependencies"]["test"] + PROJECT["build-system"]["requires"]
    for requirement in map(Requirement, wanted):
        assert requirement.specifier.contains(chosen[canonicalize_name(requirement.name)]), requirement


def test_python_3_11_and_later_get_the_jax_that_supports_them() -> None:
    assert versions("3.11")["jax"] == versions("3.11")["jaxlib"] == "0.10.2"
    assert versions("3.12")["jax"] == versions("3.12")["jaxlib"] > "0.12"


def closure(roots: list[Requirement], python: str) -> Iterator[str]:
    """Names of everything that `roots` need, by the metadata of what is installed here."""
    todo = [(requirement, "") for requirement in roots]
    seen: set[tuple[str, str]] = set()
    while todo:
        requirement, extra = todo.pop()
        name = canonicalize_name(requirement.name)
        if not applies(requirement, python, extra) or (name, extra) in seen:
            continue
        yield name
        for wanted in ("", *requirement.extras):
            seen.add((name, wanted))
            todo += [(Requirement(text), wanted) for text in importlib.metadata.requires(name) or []]


def test_everything_installed_with_dnas_is_pinned() -> None:
    project = PROJECT["project"]
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    roots = [Requirement(text) for text in project["dependencies"] + project["optional-dependencies"]["test"]]
    assert set(closure(roots, python)) <= set(versions(python))
