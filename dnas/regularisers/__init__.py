"""Terms, projections and perturbations that keep a search from collapsing or overspending: one idea a file."""

from dnas.regularisers.entropy import entropy
from dnas.regularisers.partial_decay import add_partial_decay, partial_decay
from dnas.regularisers.perturbation import (
    Perturb,
    adversarial_perturbation,
    epsilon_schedule,
    random_perturbation,
)
from dnas.regularisers.resources import expected_cost, nearest, project, violation
from dnas.regularisers.zero_one import zero_one

__all__ = [
    "Perturb",
    "add_partial_decay",
    "adversarial_perturbation",
    "entropy",
    "epsilon_schedule",
    "expected_cost",
    "nearest",
    "partial_decay",
    "project",
    "random_perturbation",
    "violation",
    "zero_one",
]
