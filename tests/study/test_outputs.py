"""CSV, JSON, terminal table and verdict of a study."""

import csv
import io
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from dnas.errors import UserError
from dnas.genotype import Genotype
from dnas.study.outputs import csv_text, json_text, regret, tables, verdict, write_csv
from dnas.study.record import Landmark
from dnas.study.statistics import compare, summarise
from dnas.study.verdict import judge


def rows_of(study):
    return list(csv.DictReader(io.StringIO(csv_text(study))))


def printed(study):
    screen = Console(file=io.StringIO(), width=200)
    screen.print(tables(study))
    return screen.file.getvalue()


def number(text):
    return float(text) if text else None


def test_csv_holds_every_run_with_all_digits(make_study):
    study = make_study(failed=(("gdas", 1),))
    rows = rows_of(study)
    assert len(rows) == len(study.outcomes)
    for row, one in zip(rows, study.outcomes, strict=True):
        assert (row["arm"], int(row["seed"]), row["status"], row["path"]) == (one.arm, one.seed, one.status, one.path)
        assert row["architecture"] == (str(one.genotype) if one.genotype else "")
        assert number(row["score"]) == one.score
        assert number(row["rank"]) == one.rank
        assert number(row["percentile"]) == one.percentile
        assert number(row["regret"]) == (study.truth.scores.max() - one.score if one.score else None)
        assert number(row["score_cifar100"]) == (one.others["cifar100"] if one.others else None)
        assert number(row["score_ImageNet16-120"]) == (one.others["ImageNet16-120"] if one.others else None)
        assert float(row["wall_seconds"]) == one.wall_seconds
        assert float(row["compile_seconds"]) == one.compile_seconds
        assert row["together"] == ("true" if one.together else "false")
        assert number(row["simulated_seconds"]) == one.simulated_seconds
        assert number(row["kendall"]) == (one.ranking.kendall if one.ranking else None)
        assert number(row["top_kendall"]) == (one.ranking.top_kendall if one.ranking else None)
        assert number(row["skips"]) == (one.epochs[-1].skips if one.epochs else None)


def test_csv_has_one_line_a_run_whatever_they_hold(make_study):
    study = make_study(("a,b\"'",), (0, 1), failed=(("a,b\"'", 1),))
    cell = study.outcomes[0].genotype["cell"]
    two = Genotype("darts", (("normal", cell), ("reduce", cell)))
    study = replace(study, outcomes=(replace(study.outcomes[0], genotype=two), study.outcomes[1]))
    assert len(csv_text(study).splitlines()) == 1 + 2
    first, second = rows_of(study)
    assert first["arm"] == "a,b\"'"
    assert first["architecture"] == " / ".join(str(two).splitlines())
    assert second["note"] == "diverged: the loss is NaN at step 12"


def test_csv_without_a_table_leaves_its_columns_empty(make_study):
    for row in rows_of(make_study(truth=False)):
        assert row["score"]
        assert row["rank"] == row["regret"] == row["simulated_seconds"] == row["kendall"] == ""
        assert not any(name.startswith("score_") for name in row)


def test_csv_is_written_whole(make_study, tmp_path):
    study = make_study()
    assert write_csv(study, tmp_path / "study.csv") == tmp_path / "study.csv"
    assert (tmp_path / "study.csv").read_text(encoding="utf-8") == csv_text(study)
    assert [path.name for path in tmp_path.iterdir()] == ["study.csv"]
    with pytest.raises(UserError, match="cannot write"):
        write_csv(study, tmp_path / "nowhere" / "study.csv")


def test_json_holds_everything(make_study):
    study = make_study(failed=(("gdas", 1),))
    value = json.loads(json_text(study))
    assert value["schema"] == "dnas.study/1"
    assert (value["name"], value["space"], value["command"]) == (study.name, study.space, study.command)
    assert value["settings"] == study.settings
    assert value["verdict"] == verdict(study)
    for told, one in zip(value["outcomes"], study.outcomes, strict=True):
        assert told["score"] == one.score
        assert told["regret"] == regret(study, one)
        assert (Genotype.from_json(told["genotype"]) if told["genotype"] else None) == one.genotype
        assert [epoch["score"] for epoch in told["epochs"]] == [epoch.score for epoch in one.epochs]
        assert [epoch["skips"] for epoch in told["epochs"]] == [epoch.skips for epoch in one.epochs]
    assert [one["mean"] for one in value["summaries"]] == [one.mean for one in summarise(study)]
    assert [one["p_holm"] for one in value["comparisons"]] == [one.p_holm for one in compare(study)]
    truth = value["truth"]
    assert truth["count"] == study.truth.scores.size
    assert truth["quantiles"]["0.5"] == np.median(study.truth.scores)
    assert [band["mean"] for band in truth["bands"]] == [band.mean.tolist() for band in study.truth.bands]
    assert truth["same_cost"] == study.truth.same_cost


def test_json_is_strict(make_study):
    study = make_study(("darts",), (0,))
    one = study.outcomes[0]
    epochs = (replace(one.epochs[0], valid_accuracy=math.nan), *one.epochs[1:])
    study = replace(study, outcomes=(replace(one, epochs=epochs),), settings={"a": math.inf, "b": (1, object)})

    def refuse(name):
        raise AssertionError(name)

    value = json.loads(json_text(study), parse_constant=refuse)
    assert value["outcomes"][0]["epochs"][0]["valid_accuracy"] is None
    assert value["settings"]["a"] is None
    assert value["settings"]["b"][0] == 1
    assert json.loads(json_text(make_study(truth=False)), parse_constant=refuse)["truth"] is None


def test_table_has_a_row_for_each_arm_and_landmark(make_study):
    study = make_study(failed=(("gdas", 1),))
    text = printed(study)
    darts, fast, gdas = summarise(study)
    for words in (
        "54.30 % ± 0.00", "93.21 % ± 0.00", "2 (1 failed)", "1,870", "0.43 / 0.01", "10 min 13 s",
        "all 3x3 convolutions", "93.60 %", "random search at the cost of gdas", "93.40 %",
    ):  # fmt: skip
        assert words in text, words
    assert all(one.arm in text for one in (darts, fast, gdas))


def test_table_shows_one_seed_and_none_without_inventing_numbers(make_study):
    text = printed(make_study(("darts", "gdas"), (0,), failed=(("gdas", 0),)))
    assert "±" not in text.replace("mean ± std", "")
    row = next(line for line in text.splitlines() if "gdas" in line)
    assert "0 (1 failed)" in row
    assert row.count("\u2013") == 6


def test_table_without_a_table_compares_with_random_architectures(make_study):
    study = make_study(truth=False)
    text = printed(study)
    chance = np.mean([score for one in study.outcomes[:3] for score in one.random_scores])
    row = next(line for line in text.splitlines() if "random, same runs as darts " in line)
    assert f"{100 * chance:.2f} %" in row


def test_names_are_no_markup(make_study):
    assert "[red]darts[/red]" in printed(make_study(("[red]darts[/red]",), (0,)))


def test_verdict_on_a_collapsed_search(make_study):
    study = make_study(("darts",))
    chance = f"{100 * study.truth.scores.mean():.2f} %"
    assert verdict(study) == (
        f"darts found 54.30 % on average, worse than a random architecture ({chance}); "
        "3 of 3 seeds collapsed to skip connections."
    )


@pytest.mark.parametrize(
    ("scores", "rivals", "kind", "said"),
    [
        (
            [0.94, 0.93],
            {"random search": 0.92, "evolution": 0.925},
            "won",
            "better than evolution at the same cost (92.50 %)",
        ),
        ([0.94, 0.92], {"random search": 0.925}, "", "but not with every seed"),
        (
            [0.92, 0.91],
            {"random search": 0.925},
            "lost",
            "than a random architecture (80.00 %) but worse than random search",
        ),
        ([0.92, 0.91], {"random search": 0.915}, "lost", "but level with random search at the same cost (91.50 %)"),
        ([0.92, 0.91], {}, "", "better than a random architecture (80.00 %)"),
        ([0.80, 0.80], {"random search": 0.7}, "lost", "level with a random architecture"),
        ([0.75, 0.79], {"random search": 0.7}, "lost", "worse than a random architecture (80.00 %)"),
        ([0.94], {"random search": 0.9}, "", "94.00 % with one seed, better than random search"),
    ],
)  # fmt: skip
def test_verdict_is_plain(scored, make_study, scores, rivals, kind, said):
    truth = replace(make_study().truth, scores=np.array([0.7, 0.9]), same_cost={"gdas": rivals}, landmarks=())
    study = replace(scored({"gdas": scores}), truth=truth)
    assert said in verdict(study)
    assert judge(study).kind == kind


@pytest.mark.parametrize(
    ("scores", "kind", "said"),
    [
        ([0.94, 0.935], "won", "better than all 3x3 convolutions, which need no search (93.00 %)"),
        ([0.94, 0.925], "", "better than all 3x3 convolutions, which need no search (93.00 %), but not with every"),
        ([0.93, 0.92], "lost", "but worse than all 3x3 convolutions, which need no search (93.00 %)"),
    ],
)
def test_verdict_holds_the_best_against_what_needs_no_search(make_study, scored, scores, kind, said):
    marks = (Landmark("optimum", 0.944), Landmark("all 3x3 convolutions", 0.93, plain=True), Landmark("worst", 0.1))
    truth = replace(make_study().truth, scores=np.array([0.7, 0.9]), landmarks=marks, same_cost={"a": {"luck": 0.9}})
    study = replace(scored({"a": scores}), truth=truth)
    assert said in verdict(study)
    assert judge(study).kind == kind


def test_verdict_counts_what_ended_at_the_bottom_of_the_space(make_study, scored):
    study = replace(scored({"a": [0.9, 0.1], "b": [0.9, 0.9]}), truth=make_study().truth)
    outcomes = tuple(replace(one, percentile=0.0 if one.score < 0.5 else 0.06) for one in study.outcomes)
    assert "1 of 4 runs ended in the worst 5 % of the space (1 of a)" in verdict(replace(study, outcomes=outcomes))
    assert "worst" not in verdict(replace(study, outcomes=outcomes[:1] + outcomes[2:]))


@pytest.mark.parametrize(
    ("random", "kind", "said"),
    [
        ((0.7, 0.8), "won", "gdas reached 91.00 % on average, better than random architectures retrained in the same"),
        ((0.7, 0.95), "", "but not than the best of them in every run"),
        ((0.95, 0.99), "lost", "worse than random architectures retrained in the same runs (97.00 %)"),
        ((), "", "was not compared with a random architecture"),
    ],
)
def test_verdict_without_a_table(scored, random, kind, said):
    study = scored({"gdas": [0.9, 0.92]})
    study = replace(study, outcomes=tuple(replace(one, random_scores=random) for one in study.outcomes))
    assert said in verdict(study)
    assert judge(study).kind == kind


def test_verdict_names_the_best_and_what_else_went_wrong(make_study):
    text = verdict(make_study(failed=(("gdas", 1),)))
    assert text.startswith("The best of 3 methods, gdas, found 93.55 % on average, ")
    assert "3 of 8 searches collapsed to skip connections (3 of darts)" in text
    assert "darts with 54.30 %" in text
    assert "1 of 9 runs failed" in text


def test_verdict_where_nothing_finished(scored):
    assert verdict(scored({"a": [None, None]})) == "No run of this study finished; 2 of 2 runs failed."


def test_landmarks_need_no_order(make_study):
    study = make_study()
    marks = (Landmark("worst", 0.1), Landmark("optimum", 0.944))
    text = printed(replace(study, truth=replace(study.truth, landmarks=marks)))
    assert "worst" in text
    assert "10.00 %" in text
