"""When the rules of R-DARTS and DARTS+ stop, and where they go back to."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dnas.errors import UserError
from dnas.genotype import Cell, Edge, Genotype
from dnas.stopping import adaptive_weight_decay, curvature_rise, ranking_stable, skip_count, too_many_skips
from dnas.types import Group
from search_spaces import darts

FLAT = [0.2] * 30


def reference(values: Sequence[float], every: int = 2, window: int = 5, delta: int = 4) -> int | None:
    """Judge every prefix as a running tracker would, and return the first epoch to go back to."""
    averages: list[float] = []
    epochs: list[int] = []
    for index in range(len(values)):
        seen = values[: index + 1]
        if len(seen) >= window // 2 + 1:
            averages.append(float(np.mean(seen[-window:])))
            epochs.append(every * index - every * (window // 2))
            back = epochs[-1] - every * delta
            if back >= 10 and averages[-1] / averages[-1 - delta] > 1.3:
                return back
    return None


def first(values: Sequence[float]) -> int | None:
    return next((epoch for n in range(len(values)) if (epoch := curvature_rise(values[: n + 1])) is not None), None)


def test_a_step_of_the_curvature_is_met_where_the_windows_part() -> None:
    # Measured every 2 epochs; the eigenvalue jumps to 0.5 at measurement 12, epoch 24.
    values = [0.2] * 12 + [0.5] * 10
    # With two of the five entries the average is (3 * 0.2 + 2 * 0.5) / 5 = 0.32, more than 1.3 * 0.2.
    assert curvature_rise(values[:14]) == 2 * (13 - 2 - 4)
    assert first([0.2] * 12 + [0.4] * 10) == 14
    assert curvature_rise(values[:12]) is None


def test_no_rise_no_stop() -> None:
    assert first(FLAT) is None
    assert first([0.2 * 1.03**index for index in range(30)]) is None
    assert first(list(np.linspace(2, 0.1, 30))) is None


def test_the_earliest_epoch_is_the_one_returned_to() -> None:
    grow = [0.1 * 1.2**index for index in range(12)]
    # Newest local average at n - 3, compared with n - 7: epoch 10 is measurement 5, so that 12 measurements are needed.
    assert [curvature_rise(grow[:n]) for n in (10, 11, 12)] == [None, None, 10]
    assert curvature_rise(grow[:7], earliest=0) == 0
    assert curvature_rise(grow[:6], earliest=0) is None
    assert curvature_rise(grow[:8], every=10) == 10


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0.05, 1.0), min_size=1, max_size=25))
def test_as_the_running_tracker(values: list[float]) -> None:
    assert first(values) == reference(values)


def test_averages_that_are_not_positive_start_no_rise() -> None:
    assert first([-0.2] * 10 + [-0.9] * 10) is None
    # The first positive local average is that of measurement 8, which reaches up to measurement 10.
    assert first([0.0] * 10 + [0.9] * 10) == 16
    assert curvature_rise([0.2] * 12 + [float("nan")] * 4) is None


@pytest.mark.parametrize("arguments", [{"window": 4}, {"window": 0}, {"every": 0}, {"lag": 0}])
def test_windows_that_have_no_middle(arguments: dict[str, int]) -> None:
    with pytest.raises(UserError, match="got"):
        curvature_rise(FLAT, **arguments)


def cell(*ops: str) -> Cell:
    return Cell(tuple((Edge(op, 0), Edge("sep_conv_3x3", 1)) for op in ops), (2,))


def test_skip_connections_of_the_normal_cell_alone() -> None:
    genotype = Genotype("darts", (("normal", cell("skip_connect", "none")), ("reduce", cell(*["skip_connect"] * 3))))
    assert (skip_count(genotype), skip_count(genotype, "reduce")) == (1, 3)
    assert not too_many_skips(genotype)
    assert too_many_skips(genotype, limit=1)
    assert too_many_skips(Genotype("darts", (("normal", cell("skip_connect", "skip_connect")),)))
    assert skip_count(darts.published()["DARTS_V1"]) == 3
    assert skip_count(darts.published()["DARTS_V2"]) == 2
    with pytest.raises(UserError, match="has the cells normal, reduce, got 'cell'"):
        skip_count(genotype, "cell")


SPEC = {"normal": Group(2, ("none", "skip_connect", "sep_conv_3x3", "dil_conv_3x3", "sep_conv_5x5"))}
ROWS = np.array([[0.5, 0.1, 0.3, 0.2, 0.1], [0.1, 0.2, 0.1, 0.2, 0.4]])


def history(changed_at: int, column: int, length: int = 12) -> list[dict[str, np.ndarray]]:
    """Return a history in which edge 1 gives `column` a new weight at one entry and keeps it."""
    rows = np.repeat(ROWS[None], length, axis=0)
    rows[changed_at:, 1, column] = 0.9
    return [{"normal": entry} for entry in rows]


def test_the_ranking_must_stand_for_ten_epochs() -> None:
    same = history(99, 0)
    assert not ranking_stable(SPEC, same[:10])
    assert ranking_stable(SPEC, same[:11])
    # Entry 1 is the first with the new order: epochs 2 to 11 did not change it.
    assert ranking_stable(SPEC, history(1, 2))
    assert not ranking_stable(SPEC, history(2, 2))
    assert ranking_stable(SPEC, history(2, 2), epochs=9)
    # Weights may move as long as their order stays, and operations without weights are not ranked.
    assert ranking_stable(SPEC, history(5, 4))
    assert ranking_stable(SPEC, history(5, 1))
    with pytest.raises(UserError, match="at least 1"):
        ranking_stable(SPEC, same, epochs=0)


def test_where_too_few_operations_have_weights_all_are_ranked() -> None:
    spec = {"normal": Group(1, ("skip_connect", "max_pool_3x3", "sep_conv_3x3"))}
    rows = [{"normal": np.array([[0.5, 0.3, 0.2]])}] * 6 + [{"normal": np.array([[0.3, 0.5, 0.2]])}] * 6
    assert not ranking_stable(spec, rows)
    assert ranking_stable(spec, rows, epochs=5)


def test_adaptive_decay_goes_back_and_grows_to_its_cap() -> None:
    values = [0.2] * 12 + [0.5] * 10
    back = adaptive_weight_decay(values[:14], 3e-4)
    assert back is not None
    assert back.epoch == 14
    assert back.weight_decay == pytest.approx(3e-3)
    # The history ends with the measurement of that epoch, so that what follows is numbered on.
    assert back.eigenvalues == (0.2,) * 8
    assert adaptive_weight_decay(FLAT, 3e-4) is None
    decays = [3e-4]
    while (step := adaptive_weight_decay(values[:14], decays[-1])) is not None:
        decays.append(step.weight_decay)
    assert decays == pytest.approx([3e-4, 3e-3, 3e-2])
    decays = [3e-4]
    while (step := adaptive_weight_decay(values[:14], decays[-1], factor=3, cap=0.0243)) is not None:
        decays.append(step.weight_decay)
    assert decays == pytest.approx([3e-4, 9e-4, 27e-4, 81e-4, 243e-4])
    capped = adaptive_weight_decay(values[:14], 0.02)
    assert capped is not None
    assert capped.weight_decay == 0.03


@pytest.mark.parametrize("arguments", [{"weight_decay": 0.0}, {"weight_decay": 1e-3, "factor": 1.0}])
def test_a_decay_that_cannot_grow(arguments: dict[str, float]) -> None:
    with pytest.raises(UserError, match="so that the decay grows"):
        adaptive_weight_decay(FLAT, **arguments)
