"""Hyper-parameters, schedules and orders of steps as they were published."""

import inspect
import pkgutil
from types import ModuleType
from typing import Any

import jax
import numpy as np
import pytest

import dnas
import dnas.methods
from search_spaces import darts, nasbench201

DARTS = {
    "epochs": 50,
    "weight_lr": 0.025,
    "weight_lr_min": 0.001,
    "momentum": 0.9,
    "weight_decay": 3e-4,
    "clip_norm": 5.0,
    "nesterov": False,
    "alpha_lr": 3e-4,
    "alpha_beta1": 0.5,
    "alpha_beta2": 0.999,
    "alpha_weight_decay": 1e-3,
}
"""Those of DARTS; below is in what others differ, and what they have beside."""
AUTODL = {"epochs": 250, "weight_decay": 5e-4, "nesterov": True}
PUBLISHED: dict[str, dict[str, Any]] = {
    "darts": {},
    "darts_second_order": {"xi": 1.0},
    "darts_single_level": {},
    "darts_minus": {"decay": "linear"},
    "darts_plus": {"limit": 2, "stable": 10},
    "darts_pt": {"interval": 5, "tuning_lr": 0.0025},
    "drnas": {"epochs": 100},
    "drnas_progressive": {
        "epochs": 100,
        "first_partial_channels": 4,
        "second_partial_channels": 2,
        "second_ops": 3,
        "warm_up": 0.2,
    },
    "drop_nas": {"epochs": 76, "weight_lr": 0.0375, "weight_lr_min": 0.0015, "clip_norm": 3.0, "drop_rate": 3e-5},
    "fair_darts": {"weight_lr": 0.005, "alpha_lr": 3e-3, "alpha_beta1": 0.9, "zero_one_weight": 10.0, "minimum": 0.85},
    "gdas": {**AUTODL, "temperature": 10.0, "temperature_min": 0.1},
    "gm_nas": {"epochs": 60, "weight_decay": 5e-4, "nesterov": True, "splits": 2, "groups": 2, "minibatches": 100},
    "idarts": {"terms": 3, "alpha_every": 4},
    "oles": {"window": 20, "least": 0.4},
    "p_darts": {
        "epochs": 75,
        "first_cells": 5,
        "added_cells": 6,
        "second_ops": 5,
        "third_ops": 3,
        "warm_up": 0.4,
        "first_dropout": 0.1,
        "added_dropout": 0.3,
        "skip_limit": 2,
        "weight_lr_min": 0.0,
        "alpha_lr": 6e-4,
        "alpha_clip_norm": 5.0,
    },
    "pc_darts": {"weight_lr": 0.1, "weight_lr_min": 0.0, "alpha_lr": 6e-4, "partial_channels": 4},
    "proxyless": {
        "epochs": 160,
        "weight_lr_min": 0.0,
        "weight_decay": 4e-5,
        "clip_norm": 0.0,
        "nesterov": True,
        "alpha_lr": 1e-3,
        "alpha_beta1": 0.0,
        "alpha_weight_decay": 0.0,
        "warm_up_lr": 0.05,
        "alpha_every": 5,
    },
    "r_darts": {"every": 2, "window": 5, "lag": 4, "ratio": 1.3, "earliest": 10, "factor": 10.0, "cap": 0.03},
    "rarts": {},
    "rc_darts": {"max_params": 0, "max_macs": 0},
    "sdarts": {"epsilon": 0.03, "epsilon_max": 0.3, "ascent_steps": 7},
    "setn": AUTODL,
    "sharp_darts": {"weight_lr_min": 1e-4, "power": 2.0},
    "snas": {"epochs": 150, "temperature": 1.0, "temperature_min": 0.03, "alpha_clip_norm": 10.0},
    "spos": {**AUTODL, "population": 50, "generations": 20, "parents": 10, "mutation": 0.1},
    "zero_cost": {
        "epochs": 1,
        "proxies": "synflow,jacob_cov",
        "complexity": "macs",
        "population": 50,
        "parents": 10,
        "mutation": 0.1,
    },
}
WITHOUT_ALPHA = {"spos"}
"""Methods that train no architecture parameters."""
UNTRAINED = {"zero_cost"}
"""Methods that train nothing."""


@pytest.mark.parametrize("name", PUBLISHED)
def test_defaults_are_the_published_hyper_parameters(name: str) -> None:
    signature = inspect.signature(getattr(dnas, name)).parameters
    published = {**({} if name in UNTRAINED else DARTS), **PUBLISHED[name]}
    if name in WITHOUT_ALPHA:
        published = {key: value for key, value in published.items() if not key.startswith("alpha_")}
    assert {key: signature[key].default for key in published} == published


def test_the_table_above_is_complete() -> None:
    assert set(PUBLISHED) == {info.name for info in pkgutil.iter_modules(dnas.methods.__path__)}


@pytest.mark.parametrize("space", [darts, nasbench201], ids=["darts", "nasbench201"])
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_fresh_search_selects_an_architecture_of_every_space(name: str, space: ModuleType, take: Any) -> None:
    taken = take(name, space.space(classes=10))
    alpha, _ = taken.parts["relaxation"].init(jax.random.key(0), taken.search.space.spec)
    space.check_genotype(taken.search.select(taken.state(alpha)))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("darts", {}),
        ("darts_single_level", {"single_level": True, "hypergradient": None}),
        ("drop_nas", {"hypergradient": None}),
        ("gdas", {"weights_first": True}),
        ("idarts", {"weights_first": True, "alpha_every": 4}),
        ("gm_nas", {"warm_up": 30 * 10}),
        ("p_darts", {"warm_up": 10 * 10}),
        ("drnas_progressive", {"warm_up": 10 * 10}),
        ("pc_darts", {"warm_up": 15 * 10}),
        ("proxyless", {"weights_first": True, "alpha_every": 5, "warm_up": 40 * 10}),
        ("rarts", {"balance": 10.0, "coupling": 10.0}),
        ("setn", {"weights_first": True}),
        ("snas", {"hypergradient": None}),
        ("spos", {"hypergradient": None, "warm_up": 250 * 10}),
        ("zero_cost", {"hypergradient": None}),
    ],
)
def test_steps_are_taken_in_the_published_order(name: str, options: dict[str, Any], take: Any) -> None:
    given = take(name).parts
    order = {"weights_first": False, "single_level": False, "warm_up": 0, "alpha_every": 1, **options}
    assert {key: given.get(key, order[key] if key not in options else ...) for key in order} == order
    assert "hypergradient" in options or name == "rarts" or given["hypergradient"] is not None


def test_a_warm_up_scales_with_the_search(take: Any) -> None:
    assert take("pc_darts", epochs=100).parts["warm_up"] == 30 * 10
    assert take("drnas", epochs=50, warm_up=0.2).parts["warm_up"] == 10 * 10


@pytest.mark.parametrize(
    ("name", "rates"),
    [
        ("darts", {0: 0.025, 9: 0.025, 250: 0.013, 500: 0.001}),
        ("p_darts", {0: 0.025, 125: 0.0125 * (1 + np.cos(12 / 25 * np.pi)), 250: 0.0}),
        ("drnas_progressive", {0: 0.025, 500: 0.013}),
        ("pc_darts", {0: 0.1, 250: 0.05, 500: 0.0}),
        ("fair_darts", {0: 0.005, 250: 0.003}),
        ("snas", {0: 0.025, 750: 0.013}),
        ("drnas", {0: 0.025, 500: 0.013}),
        # Five epochs of rise: fractions t / 6 of the range, t from 1; the sixth has the peak, the last the floor.
        ("sharp_darts", {0: 1e-4 + 0.0249 / 6, 40: 1e-4 + 0.0249 * 5 / 6, 50: 0.025, 499: 1e-4}),
        # Two cosines, from step to step.
        ("proxyless", {0: 0.05, 200: 0.025, 400: 0.025, 1000: 0.0125, 1600: 0.0}),
        ("gdas", {0: 0.025, 1250: 0.013}),
        ("gm_nas", {0: 0.025, 300: 0.013, 600: 0.001}),
    ],
)
def test_the_learning_rate_follows_the_published_course(
    name: str, rates: dict[int, float], take: Any, rate: Any
) -> None:
    optimizer = take(name).parts["weight_optimizer"]
    factor = 1.9 if {**DARTS, **PUBLISHED[name]}["nesterov"] else 1.0
    assert {step: rate(optimizer, step, factor) for step in rates} == pytest.approx(rates, rel=1e-4, abs=1e-8)


@pytest.mark.parametrize(
    ("name", "read", "course"),
    [
        ("gdas", lambda state: state, [10.0, 5.05, 0.1]),
        ("snas", lambda state: state, [1.0, 0.515, 0.03]),
        ("darts_minus", lambda state: state.beta, [1.0, 0.5, 0.0]),
    ],
)
def test_a_temperature_or_a_weight_falls_over_the_whole_search(
    name: str, read: Any, course: list[float], take: Any
) -> None:
    taken = take(name, epochs=2, steps_per_epoch=2)
    relaxation = taken.parts["relaxation"]
    alpha, state = relaxation.init(jax.random.key(0), taken.search.space.spec)
    seen = [float(read(state).value)]
    for _ in range(4):
        alpha, state = relaxation.advance(jax.random.key(0), alpha, alpha, state)
        seen.append(float(read(state).value))
    np.testing.assert_allclose(seen[::2], course, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "settings", "formula"),
    [
        ("darts", {}, lambda w, a, eta: w - 2),
        ("sdarts", {}, lambda w, a, eta: w - 2),
        ("darts_single_level", {"joint": False}, lambda w, a, eta: w - 2),
        # At w' = w - 2 eta (w - a), whose derivative for a is 2 eta.
        ("darts_second_order", {}, lambda w, a, eta: w - 2 * eta * (w - a) - 2 + 2 * eta * a),
        ("darts_second_order", {"xi": 0.0}, lambda w, a, eta: w - 2),
        # The step's derivatives are A = 1 - 2 eta for w and B = 2 eta for a.
        ("idarts", {}, lambda w, a, eta: w - 2 + 2 * eta * a * sum((1 - 2 * eta) ** k for k in range(3))),
        ("idarts", {"terms": 1}, lambda w, a, eta: w - 2 + 2 * eta * a),
    ],
)
def test_the_hypergradient_is_the_one_of_the_paper(
    name: str, settings: dict[str, Any], formula: Any, take: Any, hypergradient: Any
) -> None:
    estimator = take(name, **settings).parts["hypergradient"]
    found = hypergradient(estimator, -2.0, 1.5, 0.1)
    assert found == pytest.approx(formula(-2.0, 1.5, 0.1), rel=1e-5)
