"""From options to tasks."""

from dnas.bench.points import Point
from dnas.bench.request import SWEEP_BATCHES, Request, tasks

SMALL = ("space.cells=1", "retrain.cells=3", "retrain.auxiliary=false")


def sizes(request: Request) -> list[tuple[str, str, int, int]]:
    return [(one.point.case, one.point.dtype, one.point.batch, one.point.channels) for one in tasks(request)]


def test_lists_make_a_grid() -> None:
    request = Request(["nasbench201"], batches=[2, 4], channels=[3, 5], dtypes=["float32", "bfloat16"])
    assert sizes(request) == [
        ("nasbench201", dtype, batch, channels)
        for dtype in ("float32", "bfloat16")
        for batch in (2, 4)
        for channels in (3, 5)
    ]


def test_a_sweep_grows_one_size_at_a_time() -> None:
    found = sizes(Request(["nasbench201"], sweep=True))
    assert found == [("nasbench201", "float32", batch, 16) for batch in SWEEP_BATCHES] + [
        ("nasbench201", "float32", 32, channels) for channels in (8, 32)
    ]


def test_settings_reach_the_cases_that_have_them() -> None:
    first, second = tasks(Request(["nasbench201", "derived"], image=16, assignments=SMALL))
    assert first.point.settings["space.cells"] == 1
    assert second.point.settings["retrain.cells"] == 3
    assert not any(name.startswith("retrain.") for name in first.point.settings)


def test_a_variant_is_the_point_with_other_settings() -> None:
    words = "space.ops=none,nor_conv_1x1,space.dtype=bfloat16"
    first, second = tasks(Request(["nasbench201", "derived"], variants=[words, "method=darts"], assignments=SMALL[:2]))
    assert first.variants[words].settings == {
        **first.point.settings,
        "space.ops": ("none", "nor_conv_1x1"),
        "space.dtype": "bfloat16",
    }
    assert first.variants["method=darts"] == first.point
    assert second.variants == {}
    assert list(first.programs) == ["dnas", f"dnas {words}", "dnas method=darts"]


def test_a_point_survives_json() -> None:
    import json

    (task,) = tasks(Request(["nasbench201"]))
    assert Point.from_json(json.loads(json.dumps(task.point.to_json()))) == task.point
