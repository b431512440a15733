"""scripts/quickstart and scripts/test, run in a copy of the checkout with a stand-in for Python, venv and pip."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Notes every call; as `-m venv` it copies itself, as `-m pip install` it puts the tools below beside itself.
FAKE_PYTHON = """\
#!/bin/bash
echo "$*" >>"$CALLS"
case "$*" in
*sys.version_info*) echo "{version}" ;;
*sys.version*) echo "{version} (made up)" ;;
*ensurepip*) exit ${{FAKE_NO_VENV:-0}} ;;
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && exit ${{FAKE_VENV_CODE:-0}} ;;
*"pip install"*)
    sleep "${{FAKE_PIP_SECONDS:-0}}"
    if [ -n "${{FAKE_PIP_CODE:-}}" ]; then echo "ERROR: no network"; exit "$FAKE_PIP_CODE"; fi
    for tool in dnas ruff mypy mkdocs; do cp "$FAKE_TOOL" "$(dirname "$0")/$tool"; done ;;
*"-m pytest"*) echo "pytest in $PWD"; echo "3 passed"; exit ${{FAKE_PYTEST_CODE:-0}} ;;
*) exit 99 ;;
esac
"""
FAKE_TOOL = """\
#!/bin/bash
name=$(basename "$0")
echo "$name $*" >>"$CALLS"
printf '%s in %s got' "$name" "$PWD"; printf ' <%s>' "$@"; echo
[ "${1:-}" != "${FAKE_FAILING:-none}" ] || exit 7
"""


def write_script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def fake_python(path: Path, version: str) -> Path:
    return write_script(path, FAKE_PYTHON.format(version=version))


@dataclass(frozen=True)
class Checkout:
    """A copy of what the two commands read, with a space in its path."""

    root: Path
    env: dict[str, str]

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def calls(self) -> list[str]:
        path = Path(self.env["CALLS"])
        return path.read_text().splitlines() if path.exists() else []

    @property
    def installs(self) -> int:
        return sum("pip install" in call and " -e " in call for call in self.calls)

    def start(self, script: str, *arguments: str, cwd: Path | None = None, **env: str) -> subprocess.Popen[str]:
        command = ["bash", str(self.root / script), *arguments]
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=cwd or self.root, env={**self.env, **env}, **pipes)

    def run(self, script: str, *arguments: str, **options: str | Path) -> tuple[int, list[str], list[str]]:
        process = self.start(script, *arguments, **options)
        out, err = process.communicate(timeout=120)
        return process.returncode, out.splitlines(), err.splitlines()

    def refuses(self, script: str, **options: str | Path) -> str:
        """Run `script`, which must fail, and return its one sentence."""
        code, out, err = self.run(script, **options)
        errors = [line for line in err if line.startswith("error: ")]
        assert (code, out, len(errors)) == (1, [], 1), err
        assert err[-1] == errors[0]
        return errors[0]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    root = tmp_path / "a checkout"
    for name in ("scripts", ".ci"):
        shutil.copytree(ROOT / name, root / name)
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root)
    fake = fake_python(tmp_path / "python", "3.11.9")
    path = f"{tmp_path / 'path'}:{os.environ['PATH']}"
    tool = write_script(tmp_path / "tool", FAKE_TOOL)
    return Checkout(root, {"PATH": path, "PYTHON": str(fake), "FAKE_TOOL": str(tool), "CALLS": str(tmp_path / "calls")})


def test_quickstart_installs_once_and_searches_in_the_callers_folder(checkout: Checkout, tmp_path: Path) -> None:
    for _ in range(2):
        code, out, _ = checkout.run("scripts/quickstart", "--name", "two words", cwd=tmp_path)
        assert (code, out) == (0, [f"dnas in {tmp_path} got <search> <--name> <two words>"])
    assert checkout.installs == 1
    assert all("-c constraints.txt" in call for call in checkout.calls if "pip install" in call)


@pytest.mark.parametrize("name", ["pyproject.toml", "constraints.txt"])
def test_a_changed_file_installs_again(checkout: Checkout, name: str) -> None:
    checkout.run("scripts/quickstart")
    with (checkout.root / name).open("a") as file:
        file.write("# changed\n")
    checkout.run("scripts/quickstart")
    assert checkout.installs == 2


def test_a_moved_checkout_installs_again(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("scripts/quickstart")
    moved = Checkout(checkout.root.rename(tmp_path / "moved"), checkout.env)
    assert moved.run("scripts/quickstart")[0] == 0
    assert moved.installs == 2


def test_the_test_extra_serves_both_commands(checkout: Checkout) -> None:
    checkout.run("scripts/quickstart")
    checkout.run("scripts/test")
    checkout.run("scripts/quickstart")
    checkout.run("scripts/test")
    assert [call.split()[-1] for call in checkout.calls if " -e " in call] == [".", ".[test]"]


def test_two_runs_at_once_install_once(checkout: Checkout) -> None:
    if shutil.which("flock") is None:
        pytest.skip("needs flock")
    both = [checkout.start("scripts/quickstart", FAKE_PIP_SECONDS="0.3") for _ in range(2)]
    assert [process.communicate()[0] for process in both] == [f"dnas in {checkout.root} got <search>\n"] * 2
    assert checkout.installs == 1


def test_failing_pip_is_one_sentence_and_tried_again(checkout: Checkout) -> None:
    sentence = checkout.refuses("scripts/quickstart", FAKE_PIP_CODE="3")
    assert "no network" in sentence
    assert str(checkout.venv / "install.log") in sentence
    assert checkout.run("scripts/quickstart")[0] == 0


def test_an_installation_that_failed_half_way_is_not_taken_for_the_one_before(checkout: Checkout) -> None:
    checkout.run("scripts/quickstart")
    checkout.refuses("scripts/test", FAKE_PIP_CODE="3")
    checkout.run("scripts/quickstart")
    assert checkout.installs == 2


def test_a_real_pip_without_a_registry_is_one_sentence(checkout: Checkout) -> None:
    closed = {"PIP_NO_INDEX": "1", "PIP_CONFIG_FILE": os.devnull, "PYTHON": sys.executable}
    sentence = checkout.refuses("scripts/quickstart", **closed)
    assert "pinned versions not found" in sentence
    assert "hatchling" in (checkout.venv / "install.log").read_text()


def test_too_old_python_is_one_sentence(checkout: Checkout, tmp_path: Path) -> None:
    old = fake_python(tmp_path / "old", "3.10.4")
    sentence = checkout.refuses("scripts/quickstart", PYTHON=str(old))
    assert "3.10.4" in sentence
    assert "3.11" in sentence
    assert not checkout.venv.exists()


def test_python_that_does_not_run_is_one_sentence(checkout: Checkout) -> None:
    assert "nowhere" in checkout.refuses("scripts/test", PYTHON="/nowhere/python")


def test_python_without_venv_is_one_sentence(checkout: Checkout) -> None:
    assert "python3-venv" in checkout.refuses("scripts/quickstart", FAKE_NO_VENV="1")
    assert not checkout.venv.exists()


def put_on_path(tmp_path: Path, versions: dict[str, str]) -> None:
    """Put every name that the scripts try on the search path; those without a version fail like a pyenv shim."""
    for name in ("python3", "python3.13", "python3.12", "python3.11", "python"):
        path = fake_python(tmp_path / "path" / name, versions.get(name, ""))
        if name not in versions:
            path.write_text("#!/bin/sh\necho 'command not found' >&2\nexit 127\n")


@pytest.mark.parametrize(
    ("versions", "chosen"),
    [
        ({"python3": "3.11.2", "python3.13": "3.13.0"}, "3.11.2"),
        ({"python3": "3.9.2", "python3.12": "3.12.1", "python3.11": "3.11.7"}, "3.12.1"),
        ({"python": "3.14.0"}, "3.14.0"),
        ({"python3": "4.0.0"}, "4.0.0"),
    ],
)
def test_first_python_new_enough_is_chosen(
    checkout: Checkout, tmp_path: Path, versions: dict[str, str], chosen: str
) -> None:
    put_on_path(tmp_path, versions)
    code, _, err = checkout.run("scripts/quickstart", PYTHON="")
    assert (code, err[0]) == (0, f"making .venv with Python {chosen}")


def test_no_python_new_enough_is_one_sentence(checkout: Checkout, tmp_path: Path) -> None:
    put_on_path(tmp_path, {"python3": "3.9.2", "python": "2.7.18"})
    sentence = checkout.refuses("scripts/quickstart", PYTHON="")
    assert "python3 is 3.9.2, python is 2.7.18" in sentence
    assert "3.11" in sentence


def break_venv(venv: Path) -> None:
    (venv / "bin").mkdir(parents=True)


@pytest.mark.parametrize(
    ("make", "python", "said"),
    [
        (break_venv, "", "broken"),
        (lambda venv: fake_python(venv / "bin/python", "3.10.4"), "", "3.10.4"),
        (lambda venv: fake_python(venv / "bin/python", "3.12.1"), "PYTHON", "3.12.1"),
    ],
    ids=["broken", "too old", "another Python than PYTHON"],
)
def test_unusable_environment_is_one_sentence_and_kept(
    checkout: Checkout, make: Callable[[Path], object], python: str, said: str
) -> None:
    make(checkout.venv)
    (checkout.venv / "mine").touch()
    sentence = checkout.refuses("scripts/quickstart", PYTHON=checkout.env.get(python, ""))
    assert said in sentence
    assert str(checkout.venv) in sentence
    assert (checkout.venv / "mine").exists()


def test_half_made_environment_is_made_again(checkout: Checkout) -> None:
    checkout.refuses("scripts/quickstart", FAKE_VENV_CODE="1")
    (checkout.venv / "left over").touch()
    assert checkout.run("scripts/quickstart")[0] == 0
    assert not (checkout.venv / "left over").exists()


def stages(checkout: Checkout) -> list[str]:
    tools = ("ruff", "mypy", "mkdocs", "-m pytest")
    return [call for call in checkout.calls if call.startswith(tools)]


@pytest.mark.parametrize("script", ["scripts/test", ".ci/run"])
def test_all_stages_run_and_pytest_speaks_last(checkout: Checkout, tmp_path: Path, script: str) -> None:
    code, out, _ = checkout.run(script, cwd=tmp_path)
    assert (code, out[-1]) == (0, "3 passed")
    assert stages(checkout) == [
        "ruff check .",
        "ruff format --check .",
        "mypy ",
        "mkdocs build --strict --quiet",
        "-m pytest -n 2 --dist worksteal",
    ]
    assert f"pytest in {checkout.root}" in out


def test_the_first_failing_stage_ends_the_run_with_its_code(checkout: Checkout) -> None:
    code, _, err = checkout.run("scripts/test", FAKE_FAILING="format")
    assert code == 7
    assert err[-1].startswith("error: format failed")
    assert stages(checkout) == ["ruff check .", "ruff format --check ."]


def test_the_exit_code_of_pytest_is_kept(checkout: Checkout) -> None:
    assert checkout.run("scripts/test", FAKE_PYTEST_CODE="5")[0] == 5


def test_with_arguments_only_pytest_runs(checkout: Checkout) -> None:
    assert checkout.run("scripts/test", "tests/data", "-k", "crop")[0] == 0
    assert stages(checkout) == ["-m pytest -n 2 --dist worksteal tests/data -k crop"]
