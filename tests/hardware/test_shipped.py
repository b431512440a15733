"""The shipped profiles against the published costs, on networks that were not used for the fits."""

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from dnas.hardware import read_profile, write_profile
from dnas.hardware.fit import predict, quality
from dnas.hardware.fitted import rows
from dnas.hardware.hwnasbench import DATASETS, DEVICES, division, read, spaces
from dnas.hardware.model import FITTED, FOLDED, LIVE, WRITTEN, CostModel
from dnas.hardware.shipped import find, shipped
from dnas.types import Spec

METRICS = {name: ("latency",) for name in ("raspi4", "edgetpu", "pixel3")} | {
    name: ("energy", "latency") for name in ("edgegpu", "eyeriss", "fpga")
}
COUNTED = {
    "raspi4": FOLDED,
    "pixel3": FOLDED,
    "edgegpu": LIVE,
    "edgetpu": LIVE,
    "eyeriss": WRITTEN,
    "fpga": WRITTEN,
}
WANTED = {"eyeriss": 0.99, "fpga": 0.99, "raspi4": 0.98, "pixel3": 0.98, "edgegpu": 0.97, "edgetpu": 0.99}
"""Spearman correlation on CIFAR-10 that is to be reached with 200 networks."""


class Published(NamedTuple):
    costs: dict[tuple[str, str, str], np.ndarray]
    spec: Spec
    edges: Mapping[str, np.ndarray]
    connected: np.ndarray
    divided: Callable[[bytes], tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="module")
def published() -> Published:
    path = Path(__file__).resolve().parents[3] / "shared" / "data" / "latency" / "hwnasbench_nb201.npz"
    if not path.is_file():
        pytest.skip("the published costs of HW-NAS-Bench are not here; made-up tables test the same laws")
    spec, genotypes = spaces()
    own = rows(spec, genotypes)

    @cache
    def divided(supported: bytes) -> tuple[np.ndarray, np.ndarray]:
        return division(own, np.frombuffer(supported, bool), 200, seed=0)

    return Published(read(path), spec, own.edges, own.connected, divided)


def dataset(model: CostModel) -> str:
    size = (model.network["classes"], model.network["image"][0])
    return next(name for name, own in DATASETS.items() if own == size)


def test_each_device_has_a_model_of_each_metric_and_data_set() -> None:
    assert set(shipped()) == set(METRICS) == set(DEVICES)
    for name in shipped():
        profile = find(name)
        assert profile.name == name
        assert sorted((model.metric, dataset(model)) for model in profile.models) == sorted(
            (metric, data) for metric in METRICS[name] for data in DATASETS
        )
        for model in profile.models:
            assert (model.kind, model.space, model.batch_size) == (FITTED, "nasbench201", 1)
            assert model.network["channels"], model.network["cells"] == (16, 5)
            assert model.table.base >= 0
            assert (model.table.rows["cell"].min(axis=1) == 0).all()
            assert "HW-NAS-Bench" in model.source
            assert "200 networks" in model.source
            assert ("analytical" in model.source) == (name in ("eyeriss", "fpga"))


@pytest.mark.parametrize("name", METRICS)
def test_recorded_errors_are_those_on_networks_that_were_not_fitted(published: Published, name: str) -> None:
    for model in find(name).models:
        costs = published.costs[name, model.metric, dataset(model)]
        fitted, others = published.divided((~np.isnan(costs)).tobytes())
        assert len(fitted) == 200
        assert not set(fitted) & set(others)
        assert len(fitted) + len(others) == np.count_nonzero(~np.isnan(costs))
        assert published.connected[fitted].all()
        own = published.edges[model.edges]
        others = others[published.connected[others]]
        found, said = quality(costs[others], predict(published.spec, model.table, own[others])), model.quality
        assert said is not None
        assert said.networks == found.networks == len(others)
        np.testing.assert_allclose(said[1:5], found[1:5], rtol=1e-5)
        kept = others
        written = predict(published.spec, model.table, published.edges[WRITTEN][kept])
        ends = np.array([region.upto for region in said.regions])
        places = np.minimum(np.searchsorted(ends, written), len(ends) - 1)
        for place, margins in (*enumerate(region.margins for region in said.regions), (None, said.margins)):
            own = np.ones(len(kept), bool) if place is None else places == place
            assert own.sum() > 48
            # One network at a region's border may be on its other side once the end is written with six digits.
            border = 1.5 / own.sum()
            for share, margin in margins.items():
                reached = written[own] * (1 + margin)
                # Up to what is lost where numbers are written with six digits.
                assert np.mean(costs[kept][own] <= reached * (1 + 1e-5)) >= float(share) - 1e-3 - border
                assert np.mean(costs[kept][own] <= reached * (1 - 1e-4)) <= float(share) + 1e-2 + border
        if (model.metric, dataset(model)) == ("latency", "cifar10"):
            assert model.edges == COUNTED[name]
            assert found.spearman >= WANTED.get(name, 0.9)


@pytest.mark.parametrize("name", ["raspi4", "edgegpu", "pixel3"])
def test_of_all_networks_that_are_said_to_be_within_a_limit_few_are_over_it(published: Published, name: str) -> None:
    """Also of those right below the limit, where a search ends."""
    costs = published.costs[name, "latency", "cifar10"]
    [model] = [one for one in find(name).models if one.metric == "latency" and dataset(one) == "cifar10"]
    predicted = predict(published.spec, model.table, published.edges[WRITTEN])
    for limit in np.percentile(costs, (10, 30, 50, 70, 90)):
        raised = predicted * (1 + model.margin(0.95, limit))
        said = published.connected & (raised <= limit)
        below = said & (raised > 0.9 * limit)
        assert below.any()
        assert np.mean(costs[said] > limit) <= 0.012
        assert np.mean(costs[below] > limit) <= 0.02


def test_networks_that_the_edge_tpu_cannot_run_have_no_predicted_cost_and_all_others_have_one(
    published: Published,
) -> None:
    spec, genotypes = spaces()
    models = find("edgetpu").models
    chosen = published.edges[WRITTEN].reshape(-1, 6, 5).argmax(axis=-1)
    for model in models:
        assert model.unsupported is not None
        refused = np.zeros(len(chosen), bool)
        for pattern in model.unsupported["cell"]:
            named = [[word == "*" or op in word.split() for op in model.ops["cell"]] for word in pattern]
            refused |= np.array(named)[np.arange(6), chosen].all(axis=1)
        assert np.count_nonzero(refused) == 4699
        np.testing.assert_array_equal(refused, np.isnan(published.costs["edgetpu", "latency", dataset(model)]))
    some = range(0, len(genotypes), 13)
    np.testing.assert_array_equal(
        [np.isnan(models[0].predict(spec, genotypes[index])) for index in some], refused[list(some)]
    )


def test_every_operation_runs_somewhere_on_every_edge_of_the_edge_tpu(published: Published) -> None:
    ran = ~np.isnan(published.costs["edgetpu", "latency", "cifar10"])
    assert (published.edges[WRITTEN][ran].sum(axis=0) > 0).all()
    assert not any(np.isnan(model.table.rows["cell"]).any() for model in find("edgetpu").models)


def test_profiles_are_found_by_name_and_by_path(tmp_path: Path, sentence: Callable[..., Any]) -> None:
    path = tmp_path / "mine.json"
    write_profile(find("raspi4"), path)
    for name in (path, str(path)):
        assert find(name).models[0].source == read_profile(path).models[0].source
    path.rename(tmp_path / "mine")
    assert find(tmp_path / "mine").name == "raspi4"
    with sentence("unknown hardware 'raspi'", "did you mean 'raspi4'"):
        find("raspi")
    with sentence("cannot read", "gone.json"):
        find(tmp_path / "gone.json")
