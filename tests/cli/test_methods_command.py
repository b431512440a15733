"""`dnas methods`, and methods of a user's own named by module and function."""

import importlib
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from dnas import plugins
from dnas.cli.methods import methods
from dnas.errors import UserError
from dnas.run import config


def listed(*words: str) -> str:
    result = CliRunner().invoke(methods, words, env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return result.output


def test_every_method_is_listed_with_parts_paper_and_advice() -> None:
    text = listed()
    for name, module_name in plugins.names(plugins.METHODS).items():
        module = importlib.import_module(module_name)
        assert re.search(rf"│ {name} ", text), name
        assert module.PARTS and module.ADVICE.endswith(".")
        paper = re.search(r"arXiv:\d+\.\d+|OpenReview:\w+", module.__doc__ or "")
        assert paper and paper[0] in text, name


def test_words_filter_by_part() -> None:
    text = listed("partial channels")
    assert " pc_darts " in text
    assert " gdas " not in text


def test_a_method_of_ones_own_is_found_by_module_and_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_for_a_test.py").write_text(
        "def found(space, *, epochs, steps_per_epoch):\n    return 7\nother = 3\n"
    )
    monkeypatch.chdir(tmp_path)
    assert config.method_of("mine_for_a_test:found")(None, epochs=1, steps_per_epoch=1) == 7
    with pytest.raises(UserError, match=r"expected a function 'other' in module 'mine_for_a_test', got none"):
        config.method_of("mine_for_a_test:other")
    with pytest.raises(UserError, match=r"module 'no_such_module' cannot be imported"):
        config.method_of("no_such_module:found")
