"""`--space package.module:name`: a user's own model from the command line, found again by its name."""

import importlib
import json
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from dnas import plugins
from dnas.cli import main
from dnas.errors import UserError
from dnas.own_space import OwnSpace, made, source
from dnas.run import config
from dnas.run.searching import _in_short, _tell

NAME = "own_toy:toy"
SOURCE = """
import flax.linen as nn
import jax.numpy as jnp

import dnas


class Net(nn.Module):
    classes: int
    channels: int

    @nn.compact
    def __call__(self, x, train: bool):
        x = nn.Dense(self.channels)(x[:, ::4, ::4].reshape(x.shape[0], -1))
        wide = nn.Sequential([nn.Dense(4 * self.channels), nn.Dense(self.channels)])
        x = dnas.Choice({"wide": wide, "narrow": nn.Dense(self.channels)}, decision="middle.layer")(x)
        x = dnas.Choice([nn.relu, nn.tanh], decision="act")(x)
        return nn.Dense(self.classes)(nn.BatchNorm(use_running_average=not train)(x))


def toy(classes, shape=(8, 8, 1), *, channels: int = 4, sizes=(1, 2), rate=None, other=object()):
    '''Return a toy.

    Args:
        channels: width of the layers.
    '''
    return dnas.space(Net(classes, channels), jnp.zeros((2, *shape)))


def space(classes):
    return toy(classes)


def raises(classes):
    return 1 / (classes - classes)


def refuses(classes):
    raise dnas.UserError("no toy today: come back tomorrow")


def number():
    return 3


def needs(this, that):
    return this


VALUE = toy(2)
SEVEN = 7
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The user's module in the present folder."""
    (tmp_path / "own_toy.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "own_broken.py").write_text("absent", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with fresh():
        yield tmp_path / "own_toy.py"


class fresh(pytest.MonkeyPatch):
    """Import modules of the present folder anew, and forget them afterwards."""

    def __enter__(self) -> "fresh":
        self.setattr(sys, "dont_write_bytecode", True)
        self.setattr(sys, "path", ["", *sys.path])
        for name in ("own_toy", "own_broken"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return self

    def __exit__(self, *_: Any) -> None:
        self.undo()
        for name in ("own_toy", "own_broken"):
            sys.modules.pop(name, None)


def run(*words: str) -> None:
    with pytest.raises(SystemExit) as stop:
        main(list(words))
    assert stop.value.code == 0


@pytest.fixture(scope="module")
def searched(images: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the module and of `run`, a search under a limit that only the narrow layer keeps."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "own_toy.py").write_text(SOURCE, encoding="utf-8")
    settings = ("search.epochs=1", "search.batch_size=8", "retrain.epochs=1", "retrain.batch_size=8")
    with fresh() as patch:
        patch.chdir(folder)
        words = [word for setting in settings for word in ("--set", setting)]
        run(
            *("search", "--space", NAME, "--data", f"npz:{images}", "--limit", "params=100", "--baseline", "0"),
            *("--run-dir", "run", *words),
        )
    return folder


def test_a_search_keeps_its_limit_and_its_name(searched: Path) -> None:
    genotype = json.loads((searched / "run" / "genotype.json").read_text())
    assert genotype["space"] == NAME
    assert genotype["cells"]["middle.layer"]["nodes"] == [[["narrow", 0]]]
    result = json.loads((searched / "run" / "result.json").read_text())
    # 4 * 4 + 4 twice, 2 * 4 of batch norm, 4 * 2 + 2.
    assert result["retrain"]["params"] == result["costs"][0]["actual"] == 58
    assert result["costs"][0]["within"]


def test_the_report_lists_decisions_instead_of_cells(searched: Path, read_page: Any) -> None:
    page = read_page((searched / "run" / "report.html").read_text(encoding="utf-8"))
    assert "Decision Chosen Weights of the options" in page.text
    assert "middle.layer narrow wide 0." in page.text
    assert "middle.layer=narrow" in page.text
    assert "Each circle is a state" not in page.text
    assert "skip connections" not in page.text
    assert not list((searched / "run").glob("cell-*.svg"))


def test_it_is_found_again(searched: Path, images: Path) -> None:
    with fresh() as patch:
        patch.chdir(searched)
        written = json.loads((searched / "run" / "config.json").read_text())
        again = config.Config.from_json({**written, "data": written["data"]["name"]})
        assert again.space == NAME
        assert again.values["retrain.drop_path"] == 0
        assert written["space_source"] == source(plugins.find(plugins.SPACES, "space", NAME))
        train = ["retrain.epochs=1", "retrain.batch_size=8"]
        run(
            *("train", "run/genotype.json", "--data", f"npz:{images}", "--run-dir", "trained"),
            *(word for setting in train for word in ("--set", setting)),
        )
    assert json.loads((searched / "trained" / "result.json").read_text())["space"] == NAME


def test_it_is_exported(searched: Path) -> None:
    pytest.importorskip("onnxruntime", reason='needs the extra "export"')
    with fresh() as patch:
        patch.chdir(searched)
        run("export", "run", "--to", "onnx", "--to", "stablehlo", "--out", "taken")
    card = json.loads((searched / "taken" / "card.json").read_text())
    assert set(card["checks"]) == {"onnx", "stablehlo"}
    for check in card["checks"].values():
        assert check["score"] == check["network_score"]


def test_a_changed_module_is_warned_of(searched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = searched / "own_toy.py"
    with fresh() as patch:
        patch.chdir(searched)
        own.write_text(f"{SOURCE}\n# changed\n", encoding="utf-8")
        run("search", "--resume", "run")
        said = capsys.readouterr()
        own.write_text(SOURCE, encoding="utf-8")
    assert f"the module of the space {NAME} changed" in " ".join((said.out + said.err).split())


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("absent_module:toy", "module 'absent_module' cannot be imported"),
        ("own_broken:toy", "importing module 'own_broken' raised NameError"),
        ("own_toy:tou", "did you mean 'toy'"),
        ("own_toy:raises", "raised ZeroDivisionError (division by zero) in own_toy.py, line"),
        ("own_toy:refuses", "no toy today: come back tomorrow"),
        ("own_toy:number", "to return a SearchSpace, got int"),
        ("own_toy:needs", "got one that needs this, that"),
        ("own_toy:SEVEN", "got int: write one with dnas.space"),
    ],
)
def test_what_is_no_space_is_refused_in_one_sentence(
    name: str, says: str, module: Path, refused: Callable[..., str]
) -> None:
    assert says in refused("search", "--space", name)


def test_architectures_have_no_names(module: Path, refused: Callable[..., str]) -> None:
    assert "have no names: give a file" in refused("train", "BEST", "--space", NAME)


def test_a_value_has_no_settings(module: Path, refused: Callable[..., str]) -> None:
    assert "unknown setting 'space.channels'" in refused(
        "search", "--space", "own_toy:VALUE", "--set", "space.channels=2"
    )


def test_arguments_with_plain_defaults_are_settings(module: Path) -> None:
    own = plugins.find(plugins.SPACES, "space", NAME)
    table = config.setting_table(own, config.method_of("darts"))
    assert {name for name in table if name.startswith("space.")} == {"space.channels", "space.sizes"}
    assert table["space.channels"].help == "width of the layers."
    assert not {name for name in table if name.startswith("retrain.")} - {
        f"retrain.{name}" for name in config.TrainSettings.__annotations__
    }
    values = config.settings.parse(table, ["space.channels=3", "space.sizes=3,4"])
    assert values == {"space.channels": 3, "space.sizes": (3, 4)}
    with pytest.raises(UserError, match=r"expected an int,int,\.\.\., got 'a'"):
        config.settings.parse(table, ["space.sizes=a"])
    assert {preset["retrain.drop_path"] for preset in own.PRESETS.values()} == {0.0}


def test_a_space_takes_what_it_asks_for(module: Path) -> None:
    own = plugins.find(plugins.SPACES, "space", NAME)
    space = made(own, classes=3, shape=(4, 4, 2), channels=5)
    assert space.name == NAME
    space.check((4, 4, 2))
    value = made(plugins.find(plugins.SPACES, "space", "own_toy:VALUE"), classes=3, shape=(4, 4, 2))
    assert list(value.spec) == ["middle.layer", "act"]
    assert source(plugins.find(plugins.SPACES, "space", "darts")) is None


@pytest.mark.parametrize("value", ["own_toy:toy", "own_toy"])
def test_an_entry_point_names_a_function_or_a_module(value: str, module: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("mine" if ":" in value else "own", value, plugins.SPACES)
    monkeypatch.setattr(plugins, "entry_points", lambda group: [point])
    [name] = plugins.names(plugins.SPACES)
    assert name == ("mine" if ":" in value else "own_toy")
    own = plugins.find(plugins.SPACES, "space", name)
    assert isinstance(own, OwnSpace)
    assert made(own, classes=2, shape=(8, 8, 1)).name == name
    with pytest.raises(UserError, match="unknown space 'min'"):
        plugins.find(plugins.SPACES, "space", "min")


def test_choices_stand_on_one_line() -> None:
    assert _in_short("op=c3\ndepth=2") == "op=c3 depth=2"
    assert _in_short("\n".join(f"c{index}=a" for index in range(10))).endswith("c7=a and 2 more")
    assert _in_short("cell: a<-0 ; concat 1\nother: b<-0 ; concat 1") == "cell: a<-0"


def test_where_all_operations_weigh_the_same_no_architecture_is_said_to_be_selected() -> None:
    line = {"epoch": 2, "genotype": "op=c3", "weights": {"op": [[0.5, 0.5]], "depth": [[0.25] * 4]}, "skips": 0}
    assert _tell(line) == "epoch 2: all operations weigh the same so far"
    assert _tell({**line, "weights": {**line["weights"], "op": [[0.4, 0.6]]}}).startswith("epoch 2: selects op=c3 (")
