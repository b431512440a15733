"""Bytes counted in a compiled program are those that its parts are known to send."""

import json
from pathlib import Path
from typing import Any

import pytest

from dnas.devices import traffic

FLOAT = 4
MADE_UP = """\
HloModule made_up

%add (x: f32[], y: f32[]) -> f32[] {
  %x = f32[] parameter(0)
  ROOT %sum = f32[] add(%x, %y)
}

%inner (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %one = bf16[2,8]{1,0} all-reduce(%a), replica_groups={{0,1}}, to_apply=%add
  ROOT %t = (s32[], f32[4]{0}) tuple(%i, %b)
}

%turning (p: (s32[], f32[4])) -> pred[] {
  ROOT %less = pred[] compare(%i, %n), direction=LT
}

%outer (p: (s32[], f32[4])) -> (s32[], f32[4]) {
  %again = (s32[], f32[4]{0}) while(%p), condition=%turning, body=%inner, TRIPS5
  %two = (f32[3]{0}, f32[]) all-reduce(%c, %d), replica_groups={{0,1}}, to_apply=%add
  ROOT %t = (s32[], f32[4]{0}) tuple(%i, %b)
}

%small (p: f32[4]) -> f32[4] {
  ROOT %r = f32[4]{0} all-reduce(%p), replica_groups={{0,1}}, to_apply=%add
}

%large (p: f32[4]) -> f32[4] {
  %g = (f32[5]{0}, f32[10]{0}) all-gather-start(%p), replica_groups={{0,1}}, dimensions={0}
  ROOT %r = f32[10]{0} all-gather-done(%g)
}

ENTRY %main (p: f32[4]) -> f32[4] {
  %loop = (s32[], f32[4]{0}) while(%init), condition=%turning, body=%outer, TRIPS7
  %chosen = f32[4]{0} conditional(%which, %p, %p), branch_computations={%small, %large}
  %moved = pred[6]{0} collective-permute(%m), source_target_pairs={{0,1},{1,0}}
  ROOT %r = f32[4]{0} fusion(%p), kind=kLoop, calls=%small
}
"""


def with_turns(text: str) -> str:
    for turns in (5, 7):
        text = text.replace(f"TRIPS{turns}", f'backend_config={{"known_trip_count":{{"n":"{turns}"}}}}')
    return text


def test_loops_branches_and_calls_weigh_what_they_run() -> None:
    counted = traffic(with_turns(MADE_UP))
    inner, outer = 2 * 16, (3 + 1) * FLOAT
    assert counted.bytes == {
        "all-reduce": 7 * (5 * inner + outer) + 4 * FLOAT,
        "all-gather": 10 * FLOAT,
        "collective-permute": 6,
    }
    assert counted.calls == 7 * (5 + 1) + 1 + 1 + 1
    assert counted.total == sum(counted.bytes.values())


def test_a_loop_without_its_number_of_turns_is_not_guessed() -> None:
    with pytest.raises(ValueError, match="does not say how often"):
        traffic(with_turns(MADE_UP).replace('"known_trip_count":{"n":"5"}', ""))
    with pytest.raises(ValueError, match="ENTRY"):
        traffic("module @not_compiled {}")


@pytest.fixture(scope="module")
def sent(simulated: Path) -> dict[str, Any]:
    return dict(json.loads((simulated / "sent.json").read_text()))


def test_a_known_program_sends_what_it_must(sent: dict[str, Any]) -> None:
    assert sent["loop"] == {"bytes": {"all-reduce": (10 * 3 + 1) * FLOAT}, "calls": 11}


@pytest.mark.parametrize("program", ["chunk", "step-16", "step-32"])
def test_images_and_activations_stay_where_they_are(sent: dict[str, Any], program: str) -> None:
    assert sent[program]["bytes"].keys() == {"all-reduce"}


def test_a_step_sends_as_much_whatever_the_batch(sent: dict[str, Any]) -> None:
    half, whole = sent["step-16"], sent["step-32"]
    assert (half["bytes"], half["calls"]) == (whole["bytes"], whole["calls"])


def test_a_step_sends_gradients_and_batch_statistics(sent: dict[str, Any]) -> None:
    # Each of the two passes sums mean and mean square of every norm forward and two gradients of them backward; a
    # forward pass that is repeated to save memory sums once more. Beside that, only alpha and the losses are sent.
    step = sent["step-16"]
    least = step["params"] + 4 * step["stats"]
    assert least < step["bytes"]["all-reduce"] / FLOAT < 1.005 * least + 2 * step["stats"]
