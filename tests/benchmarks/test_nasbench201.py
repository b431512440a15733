"""Reading NAS-Bench-201's table: every way that a file can be wrong, and what the published one says."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dnas.benchmarks import nasbench201
from dnas.genotype import Cell, Genotype
from dnas.table import Table
from search_spaces.nasbench201 import cells, strings


def test_the_space_is_that_of_search_spaces() -> None:
    assert nasbench201.SPACE == strings.SPACE
    assert nasbench201.OPS == cells.OPS
    assert nasbench201.EDGES == cells.EDGES
    assert nasbench201.COUNT == len(cells.OPS) ** len(cells.EDGES) == 15_625


def test_rows_are_those_of_the_file(made_up, table: Table) -> None:
    assert table.architectures == tuple(strings.from_string(text.decode()) for text in made_up["arch"])
    for row in (0, 7_000, 15_624):
        assert table.row(strings.from_string(made_up["arch"][row].decode())) == row


def test_edges_in_another_order_are_the_same_architecture(table: Table) -> None:
    one = table.genotype(4321)
    nodes = tuple(node[::-1] for node in one["cell"].nodes)
    assert table.row(Genotype("nasbench201", (("cell", Cell(nodes, (3,))),))) == 4321


def test_numbers_are_shares_seconds_and_whole_numbers(made_up, table: Table) -> None:
    assert table.datasets == ("toy", "cifar10")
    assert table.source.endswith("nb201.npz")
    for epochs, split in ((200, "test"), (200, "val"), (12, "test"), (12, "val")):
        scores = table.scores("toy", epochs, split)
        assert scores.dtype == np.float64
        np.testing.assert_allclose(100 * scores, made_up[f"{split}{epochs}_toy"], rtol=1e-7)
    np.testing.assert_array_equal(table.costs("cifar10", 12), made_up["cost12_cifar10_s"])
    np.testing.assert_array_equal(table.costs("toy", 12), made_up["cost12_toy_s"])
    work = (made_up["cost12_cifar10_s"] - 30) / 3
    np.testing.assert_array_equal(table.macs["cifar10"], 8_000_001 + 4_000_000 * work)
    np.testing.assert_array_equal(table.params["cifar10"], 73_306 + 26_000 * work)
    assert table.macs["cifar10"].dtype == table.params["cifar10"].dtype == np.int64


def test_no_query_can_change_the_truth(table: Table) -> None:
    for values in (table.scores("toy"), table.costs("toy", 12), table.macs["cifar10"], table.groups):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 1


def test_isomorphic_architectures_have_the_same_canonical_text(table: Table) -> None:
    texts = [strings.canonical(one) for one in table.architectures]
    for row in (0, 100, 9_999):
        assert table.equivalent(table.genotype(row)) == tuple(np.flatnonzero(np.array(texts) == texts[row]))


def test_the_price_of_a_multiply_add_prices_all_runs(made_up, tmp_path: Path) -> None:
    """A machine that takes 2 ps for each multiply-add of a training step is priced at 2 ps."""
    macs = 1e6 * made_up["flops_cifar10_M"]
    step = 3 * macs
    path = tmp_path / "nb201.npz"
    np.savez(path, **(made_up | {"cost12_cifar10_s": 2e-12 * 12 * 25_000 * step}))
    assert nasbench201.load(path).seconds_per_mac == pytest.approx({"cifar10": 2e-12}, rel=1e-6, abs=0)


@pytest.mark.parametrize("missing", ["cost12_cifar10_s", "flops_cifar10_M"])
def test_what_is_optional_may_be_missing(made_up, tmp_path: Path, missing: str) -> None:
    gone = {missing, "arch", "unique_str", "val12_toy", "params_cifar10_M"}
    path = tmp_path / "nb201.npz"
    np.savez(path, **{name: array for name, array in made_up.items() if name not in gone})
    table = nasbench201.load(path)
    assert (table.seconds_per_mac, table.groups, dict(table.params)) == (None, None, {})
    assert not table.priced("toy")


def test_reference_networks_are_uniform(table: Table) -> None:
    networks = dict(nasbench201.reference_networks())
    assert networks == {
        "all 3x3 convolutions": strings.from_ops(("nor_conv_3x3",) * 6),
        "all skip connections": strings.from_ops(("skip_connect",) * 6),
    }
    assert all(table.genotype(table.row(one)) == one for one in networks.values())


@pytest.mark.parametrize("place", [".", "nb201"])
@pytest.mark.parametrize("way", ["argument", "variable", "default"])
def test_the_file_is_found_in_the_data_folder(file, tmp_path, monkeypatch, place: str, way: str) -> None:
    folder = tmp_path / ".cache" / "dnas" / "data"
    (folder / place).mkdir(parents=True)
    (folder / place / "nb201.npz").symlink_to(file)
    nowhere = str(tmp_path / "nowhere")
    monkeypatch.setenv("HOME", str(tmp_path) if way == "default" else nowhere)
    monkeypatch.setenv("DNAS_DATA", {"argument": nowhere, "variable": str(folder), "default": ""}[way])
    table = nasbench201.load(data_dir=folder if way == "argument" else None)
    assert table.source == str(folder / place / "nb201.npz")


def test_a_tilde_stands_for_the_home_folder(file, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "mine.npz").symlink_to(file)
    assert nasbench201.load("~/mine.npz").source == str(tmp_path / "mine.npz")


def test_a_missing_file_says_where_it_was_looked_for_and_how_to_get_it(sentence, tmp_path) -> None:
    how = ("NATS-tss-v1_0-3ffb9-simple", "NATS-Bench project page", "scripts/convert_nats_bench")
    with sentence(tmp_path / "nb201.npz", tmp_path / "nb201" / "nb201.npz", *how):
        nasbench201.load(data_dir=tmp_path)
    with sentence(tmp_path / "mine.npz", *how):
        nasbench201.load(tmp_path / "mine.npz")


def changed(name: str, index: tuple[int, ...], value: object) -> Callable[[dict[str, np.ndarray]], dict]:
    def change(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        array = arrays[name].copy()
        array[index] = value
        return arrays | {name: array}

    return change


def without(*names: str) -> Callable[[dict[str, np.ndarray]], dict]:
    return lambda arrays: {name: array for name, array in arrays.items() if name not in names}


def repeated(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    ops = arrays["ops"].copy()
    ops[8] = ops[5]
    return arrays | {"ops": ops}


VIOLATIONS = {
    "no operations": (without("ops"), ["no array named ops"]),
    "no names": (without("op_names", "edges"), ["no array named op_names, edges"]),
    "no truth": (without("test200_toy", "test200_cifar10"), ["no array named test200_cifar10"]),
    "other names": (lambda a: a | {"op_names": a["op_names"][::-1]}, ["op_names is", "avg_pool_3x3", "expected"]),
    "numbers as names": (lambda a: a | {"op_names": np.arange(5)}, ["op_names is", "expected"]),
    "other edges": (lambda a: a | {"edges": a["edges"][:, ::-1]}, ["edges is", "[0, 1]", "[1, 0]"]),
    "a row less": (lambda a: a | {"ops": a["ops"][1:]}, ["ops", "(15624, 6)", "(15625, 6)"]),
    "fractions as operations": (lambda a: a | {"ops": a["ops"] / 2}, ["ops", "float64", "integers"]),
    "unknown operation": (changed("ops", (3, 2), 5), ["ops", "row 3", "0 to 4"]),
    "negative operation": (lambda a: a | {"ops": a["ops"].astype(int) - 1}, ["ops", "-1", "0 to 4"]),
    "repeated architecture": (repeated, ["15,624 different architectures", "each of the 15,625 once"]),
    "other text": (changed("arch", (9,), b"|none~0|"), ["arch", "row 9", "'|none~0|'", "ops says"]),
    "too few texts": (lambda a: a | {"arch": a["arch"][:5]}, ["arch", "(5,)"]),
    "short scores": (lambda a: a | {"test200_toy": a["test200_toy"][:-1]}, ["test200_toy", "(15624,)"]),
    "scores as text": (lambda a: a | {"val12_toy": a["arch"]}, ["val12_toy", "numbers"]),
    "missing score": (changed("val12_toy", (11,), np.nan), ["val12_toy", "nan", "row 11", "finite"]),
    "infinite score": (changed("test12_toy", (12,), np.inf), ["test12_toy", "inf", "row 12"]),
    "more than all": (changed("test200_toy", (13,), 100.5), ["test200_toy", "100.5", "row 13", "0 to 100"]),
    "less than none": (changed("val200_toy", (14,), -0.5), ["val200_toy", "-0.5", "row 14"]),
    "free of charge": (changed("cost12_toy_s", (15,), 0), ["cost12_toy_s", "row 15", "more than 0"]),
    "unknown cost": (changed("cost12_cifar10_s", (16,), np.nan), ["cost12_cifar10_s", "nan", "row 16"]),
    "no work": (changed("flops_cifar10_M", (17,), -1), ["flops_cifar10_M", "row 17", "more than 0"]),
    "no parameters": (changed("params_cifar10_M", (18,), 0), ["params_cifar10_M", "row 18"]),
    "too few groups": (lambda a: a | {"unique_str": a["unique_str"][:9]}, ["unique_str", "(9,)"]),
    "pickled objects": (lambda a: a | {"val12_toy": np.array([{}] * 15_625)}, ["val12_toy cannot be read"]),
}


@pytest.mark.parametrize("case", VIOLATIONS)
def test_each_violation_is_one_sentence_with_the_files_name(sentence, made_up, tmp_path, case: str) -> None:
    change, words = VIOLATIONS[case]
    path = tmp_path / "mine.npz"
    np.savez(path, **change(made_up))
    with sentence(path, "scripts/convert_nats_bench", *words):
        nasbench201.load(path)


def single(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "not a readable .npz file"),
        (b"PK\x03\x04 and nothing else", "not a readable .npz file"),
        (b"\x80\x04\x95 a pickle", "not a readable .npz file"),
        (single(np.arange(3)), "single array"),
        (single(np.array([{}, None])), "not a readable .npz file"),
    ],
    ids=["empty", "cut", "pickle", "single array", "pickled array"],
)
def test_another_kind_of_file_is_one_sentence(sentence, tmp_path, content: bytes, word: str) -> None:
    path = tmp_path / "mine.npz"
    path.write_bytes(content)
    with sentence(path, word):
        nasbench201.load(path)


def test_a_folder_is_one_sentence(sentence, tmp_path) -> None:
    with sentence(tmp_path, "not a readable .npz file"):
        nasbench201.load(tmp_path)


def test_a_damaged_file_is_one_sentence(sentence, file, tmp_path) -> None:
    whole = file.read_bytes()
    path = tmp_path / "mine.npz"
    for place in range(100, len(whole), len(whole) // 12):
        path.write_bytes(whole[:place])
        with sentence(path):
            nasbench201.load(path)
    middle = whole.index(b"test200_toy.npy") + 1000
    path.write_bytes(whole[:middle] + bytes(255 - byte for byte in whole[middle : middle + 40]) + whole[middle + 40 :])
    with sentence(path, "test200_toy cannot be read"):
        nasbench201.load(path)


def test_published_yardsticks(published_table: Table) -> None:
    scores = published_table.scores("cifar10")
    assert 100 * scores.mean() == pytest.approx(87.06, abs=0.005)
    assert 100 * np.median(scores) == pytest.approx(90.75, abs=0.006)
    assert 100 * scores.max() == pytest.approx(94.37, abs=0.005)
    networks = dict(nasbench201.reference_networks())
    plain, skips = networks["all 3x3 convolutions"], networks["all skip connections"]
    assert 100 * published_table.accuracy(plain, "cifar10") == pytest.approx(93.76, abs=0.005)
    assert 100 * published_table.percentile(plain, "cifar10") == pytest.approx(98.9, abs=0.05)
    assert 100 * published_table.accuracy(skips, "cifar10") == pytest.approx(54.30, abs=0.005)


def test_the_published_best_is_row_6111(published_table: Table) -> None:
    best = published_table.genotype(6111)
    assert (published_table.rank(best, "cifar10"), published_table.regret(best, "cifar10")) == (1, 0.0)
    assert strings.index(best) == 6111


def test_published_rows_are_in_the_published_order(published_table: Table) -> None:
    assert published_table.architectures == tuple(strings.enumerate_all())
    assert len(np.unique(published_table.groups)) == 6_466
    assert published_table.datasets == ("cifar10", "cifar100", "imagenet16")
    assert published_table.priced("cifar10")
