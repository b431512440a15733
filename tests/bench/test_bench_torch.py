"""The PyTorch networks compute what ours do, on the same weights: logits, gradient, and a whole step."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest

from dnas.bench.cases import Case, Gradient, build
from dnas.bench.equality import TOLERANCE, Equality, Unequal, compare, logits, small
from dnas.bench.points import DERIVED, GRADIENT, STEP
from dnas.bench.ready import Ready
from dnas.bench.rivals import Rivals

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'torch>=2.6' to compare with it")

from dnas.bench.peers import copying  # noqa: E402
from dnas.bench.peers.torch_peer import Flavour, Peer  # noqa: E402

CASES = ("darts", "nasbench201", "derived")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from threads, which on a busy machine wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module", params=CASES)
def case(request: pytest.FixtureRequest, tiny_point: Callable[..., Any]) -> Case:
    return build(tiny_point(request.param))


@pytest.fixture(scope="module")
def gradient(case: Case) -> Gradient:
    program = case.programs[GRADIENT]()
    return Gradient(*jax.jit(program.function)(*program.arguments))


@pytest.mark.parametrize("layout", ["nchw", "channels_last"])
def test_logits_and_gradient_are_ours(case: Case, gradient: Gradient, layout: str) -> None:
    assert max(Peer(case, Flavour(layout)).compare(gradient)) <= TOLERANCE


def test_a_parameter_that_is_off_is_seen(case: Case, gradient: Gradient) -> None:
    peer = Peer(case, Flavour("nchw"))
    with torch.no_grad():
        next(iter(peer.network.head.parameters())).mul_(1.01)
    assert min(peer.compare(gradient)) > TOLERANCE

    def compiled(*arguments: Any) -> Gradient:
        return gradient

    timed = Ready(case.programs[GRADIENT](), 0, compiled, None, None, None, "")  # type: ignore[arg-type]
    with pytest.raises(Unequal, match="other does not compute what ours does"):
        logits(case, {GRADIENT: timed}, {"other": peer})
    assert logits(case, {GRADIENT: timed}, {"same": Peer(case, Flavour("nchw"))})["same"] <= TOLERANCE


def test_every_parameter_is_copied_and_copied_back(case: Case) -> None:
    peer = Peer(case, Flavour("nchw"))
    again = copying.values(peer.network, peer.ours, gradients=False)
    assert set(again) == set(peer.ours)
    for path, value in peer.ours.items():
        np.testing.assert_array_equal(again[path], value)
    count = sum(leaf.size for leaf in jax.tree.leaves(case.variables.params))
    assert count == sum(parameter.numel() for parameter in peer.network.parameters())


def test_a_search_step_moves_weights_and_alpha_as_ours_does(tiny_point: Callable[..., Any]) -> None:
    case = build(tiny_point("nasbench201", **{"space.cells": 1, "space.ops": ("none", "skip_connect", "nor_conv_1x1")}))
    program = case.programs[STEP]()
    state = jax.jit(program.function)(*program.arguments)[0]
    peer = Peer(case, Flavour("nchw"))
    peer.runners()[STEP]()
    found = copying.values(peer.network, peer.ours, gradients=False)
    wanted = copying.edge_by_edge(case.space, state.params)
    moved = {path: wanted[path] - peer.ours[path] for path in wanted}
    wrong = {path: found[path] - wanted[path] for path in wanted}
    # The weights' gradient is taken under the alpha that the step has moved first.
    assert length(wrong) < 1e-3 * length(moved)


def length(arrays: dict[str, np.ndarray]) -> float:
    return float(np.sqrt(sum(np.sum(value**2) for value in arrays.values())))


def test_bfloat16_is_autocast_and_leaves_the_parameters_alone(tiny_point: Callable[..., Any]) -> None:
    peer = Peer(build(tiny_point("nasbench201", **{"space.dtype": "bfloat16"})), Flavour("channels_last"))
    peer.runners()[GRADIENT]()
    assert {parameter.dtype for parameter in peer.network.parameters()} == {torch.float32}


def test_what_is_kept_for_the_backward_pass_grows_with_the_batch(tiny_point: Callable[..., Any]) -> None:
    few = build(tiny_point("nasbench201"))
    more = Peer(build(replace(few.point, batch=8)), Flavour("nchw")).saved_bytes()
    assert more == pytest.approx(2 * Peer(few, Flavour("nchw")).saved_bytes(), rel=0.1)
    # Each of 36 edges keeps at least the output of its two convolutions, of which there are 2, 4 and 8 channels.
    pixels = (64 * 2 + 16 * 4 + 4 * 8) * 6 * 2
    assert more > 8 * 4 * 2 * pixels


def test_settings_without_a_pytorch_version_are_refused(tiny_point: Callable[..., Any], sentence: Any) -> None:
    with sentence("derived", "leave out --against torch"):
        Peer(build(tiny_point(DERIVED, **{"retrain.affine": False})), Flavour("nchw"))


def test_gradients_are_compared_once_for_all_sizes(tiny_point: Callable[..., Any]) -> None:
    built = []

    def rivals(case: Case) -> dict[str, Peer]:
        built.append(case.point)
        return {"torch": Peer(case, Flavour("nchw"))}

    point = tiny_point("nasbench201", **{"space.cells": 1, "space.ops": ("none", "nor_conv_1x1")})
    larger = replace(point, batch=64, image=32, settings={**point.settings, "space.dtype": "bfloat16"})
    equality = Equality(Rivals("torch", (), rivals, {}))
    assert equality.gradients(larger) == equality.gradients(point)
    assert built == [small(point)] == [small(larger)]
    assert (built[0].batch, built[0].image, built[0].dtype) == (4, 8, "float32")


def test_other_networks_stay_unequal_with_other_images(tiny_point: Callable[..., Any]) -> None:
    def rivals(case: Case) -> dict[str, Peer]:
        peer = Peer(case, Flavour("nchw"))
        with torch.no_grad():
            peer.network.stem.norm.weight.mul_(1.01)
        return {"torch": peer}

    point = tiny_point("nasbench201", **{"space.cells": 1, "space.ops": ("none", "nor_conv_1x1")})
    with pytest.raises(Unequal, match="on a small network"):
        Equality(Rivals("torch", (), rivals, {})).gradients(point)


def test_errors_are_relative_to_the_whole() -> None:
    ours = (np.array([1.0, -4.0]), {"a": np.array([3.0]), "b": np.array([4.0])})
    theirs = (np.array([1.0, -4.4]), {"a": np.array([3.0]), "b": np.array([4.5])})
    assert compare(ours, theirs) == pytest.approx((0.1, 0.1))
