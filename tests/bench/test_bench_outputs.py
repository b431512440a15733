"""bench.json holds what the table and the picture show, with a unit in the name of every number."""

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from rich.console import Console

from dnas.bench.compiling import Preparation
from dnas.bench.picture import SPAN, picture, wide
from dnas.bench.points import GRADIENT, STEP
from dnas.bench.record import OURS, SCHEMA, comparison, measurement
from dnas.bench.table import tables

UNITS = ("seconds", "bytes", "images", "pixels", "ratio", "share", "error", "rounds", "macs", "second", "image", "call")
PLAIN = ("channels", "share_of_peak")
ENVIRONMENT = {"device": "cpu: cpu", "cpu": "a processor", "cores": 2, "jax": "1", "torch": "2"}


@pytest.fixture
def result(tiny_point: Callable[..., Any]) -> dict[str, Any]:
    """A made-up result: the plain program takes 2 s, PyTorch 4 s, a variant 1 s, and one program did not run."""
    from dataclasses import replace

    plain = replace(tiny_point("darts"), batch=64)
    variant = tiny_point("darts", **{"space.dtype": "bfloat16"})
    cold, warm = Preparation(1.0, 2.0, 33.0, 4_100_000_000), Preparation(1.5, 2.5, 0.25, None)
    common: dict[str, Any] = {"images": 64, "macs": 64_000_000, "cold": cold, "warm": warm}
    measurements = [
        measurement(
            plain,
            GRADIENT,
            OURS,
            **common,
            temporary_bytes=4_100_000_000,
            seconds=[1.9, 2.0, 2.1],
            peak_macs_per_second=6.4e8,
        ),
        measurement(
            plain,
            STEP,
            OURS,
            **common,
            temporary_bytes=None,
            seconds=[],
            peak_macs_per_second=None,
            note="needs 9.0 GB of memory, 1.0 GB are free",
            not_compared={"torch nchw eager": "needs 8.0 GB"},
        ),
    ]
    ratios = [
        comparison(
            plain,
            GRADIENT,
            OURS,
            "torch nchw eager",
            seconds=[2.0, 2.0, 2.0],
            reference_seconds=[4.0, 4.0, 4.0],
            memory=(3_000_000_000, 6_000_000_000),
            extra={"output_error": 2e-6},
        ),
        comparison(
            variant,
            GRADIENT,
            f"{OURS} space.dtype=bfloat16",
            OURS,
            seconds=[1.0, 1.0, 1.0],
            reference_seconds=[2.0, 2.0, 2.0],
        ),
    ]
    made: dict[str, Any] = {
        "schema": SCHEMA,
        "environment": ENVIRONMENT,
        "measurements": measurements,
        "ratios": ratios,
    }
    return json.loads(json.dumps(made, allow_nan=False))


def rendered(result: dict[str, Any]) -> str:
    text = io.StringIO()
    Console(width=160, file=text).print(tables(result))
    return text.getvalue()


def test_arithmetic_of_an_entry(result: dict[str, Any]) -> None:
    one = result["measurements"][0]
    assert (one["seconds_median"], one["seconds_per_image"]) == (2.0, 2.0 / 64)
    assert (one["images_per_second"], one["macs_per_image"]) == (32.0, 1_000_000)
    assert one["macs_per_second"] == 3.2e7
    assert one["share_of_peak"] == 0.05
    ratio = result["ratios"][0]
    assert (ratio["time_ratio_median"], ratio["memory_ratio"], ratio["rounds"]) == (0.5, 0.5, 3)
    assert result["ratios"][1]["memory_ratio"] is None


def test_the_table_shows_what_the_json_holds(result: dict[str, Any]) -> None:
    text = rendered(result)
    shown = ("0.50 (0.50", "torch NCHW eager", "2e-06", "\u2264 0.5", "2 s (1.95\u20262.05)", "32", "5.0 %", "33 s")
    for words in (
        *shown,
        "250 ms",
        "4.1 GB (\u2264 4 GB)",
        "space.dtype=bfloat16 / dnas",
        "needs 9.0 GB of memory",
        "torch nchw eager needs 8.0 GB",
    ):
        assert words in text, words
    assert text.index("torch NCHW eager") < text.index("5.0 %") < text.index("250 ms")


def test_a_target_of_another_batch_size_says_so(result: dict[str, Any]) -> None:
    result["ratios"][0]["batch_images"] = 16
    assert "\u2264 0.5 at batch 64" in rendered(result)
    result["environment"] = {**ENVIRONMENT, "device": "gpu: a GPU"}
    assert "\u2264 0.5" not in rendered(result)


def test_every_number_names_its_unit(result: dict[str, Any]) -> None:
    for entry in result["measurements"] + result["ratios"]:
        for name, value in entry.items():
            if isinstance(value, int | float):
                assert name in PLAIN or any(unit in name.split("_") for unit in UNITS), name


def test_the_picture_shows_ratios_and_targets(result: dict[str, Any]) -> None:
    svg = picture(result)
    assert svg == picture(result)
    for words in ("torch NCHW eager", "0.50", "\u2264 0.5", "a processor", "milliseconds per image"):
        assert words in svg, words


def test_the_picture_shows_growth_where_a_size_grows(result: dict[str, Any]) -> None:
    more = {**result["measurements"][0], "batch_images": 128}
    svg = picture({**result, "measurements": [*result["measurements"], more]})
    assert "images in a minibatch" in svg
    assert "milliseconds per image" not in svg


def test_a_result_without_entries_has_a_picture_too() -> None:
    assert "<svg" in picture({"environment": ENVIRONMENT, "measurements": [], "ratios": []})


def test_a_panel_of_growth_is_never_filled_by_noise() -> None:
    for low, high in ((70.0, 75.0), (1.0, 100.0), (3.0, 3.0)):
        bottom, top = wide(low, high)
        assert bottom <= low <= high <= top * (1 + 1e-12)
        assert top / bottom == pytest.approx(max(high / low, SPAN))
