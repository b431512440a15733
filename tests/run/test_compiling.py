"""A run compiles each search with the options that its steps need."""

from collections.abc import Callable
from pathlib import Path

import pytest

from dnas.run import pipeline, planning
from dnas.run.console import Screen
from dnas.run.interrupt import Stop

PlanOf = Callable[..., planning.Plan]


class Asked(Exception):
    """What the compiler was asked for."""


@pytest.mark.parametrize(("method", "second_order"), [("darts", False), ("darts_second_order", True)])
def test_a_step_that_differentiates_a_gradient_is_compiled_as_one(
    method: str,
    second_order: bool,
    plan_of: Callable[..., planning.Plan],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def asked(*, second_order: bool = False) -> dict[str, str]:
        raise Asked(second_order)

    tiny = ("search.batch_size=5", "space.channels=2", "space.cells=1", "retrain.epochs=0")
    planned = plan_of("nasbench201", 0, tiny, baseline=0, method=method)
    run = pipeline.start(planned, tmp_path / "run", False, "dnas search")
    monkeypatch.setattr("dnas.run.loop.compiler_options", asked)
    with pytest.raises(Asked) as found:
        pipeline.execute(run, planned, Screen(), Stop())
    assert found.value.args == (second_order,)
