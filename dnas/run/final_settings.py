"""Whether a search ends with a comparison by training, and of how many."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dnas.errors import UserError
from dnas.finalists import MOST
from dnas.run import settings


@dataclass(frozen=True)
class FinalSettings:
    """How a search ends; with a comparison of finalists, all else about their training is as for `retrain`.

    Attributes:
        count: architectures that are trained for a while, to keep the best of them; 0 keeps the search's own choice.
        epochs: passes over its images for each.
        train_share: share of the training images that they are trained on; they are compared on the others.
    """

    count: int = 0
    epochs: int = 12
    train_share: float = 0.5


def final_settings(values: Mapping[str, Any]) -> FinalSettings:
    """Return how a run's search ends, from all its settings.

    Raises:
        UserError: for a number out of its range.
    """
    own = FinalSettings(**settings.group(values, "finalists", FinalSettings))
    if own.count > MOST:
        raise UserError(f"setting finalists.count: expected 0 to {MOST}, got {own.count}")
    if not 0 < own.train_share < 1:
        raise UserError(f"setting finalists.train_share: expected a number between 0 and 1, got {own.train_share:g}")
    return own
