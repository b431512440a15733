"""How differently the operations of one edge want the shared weights to move.

GM-NAS (Hu et al., *Generalizing few-shot NAS with gradient matching*, arXiv:2203.15207); the formula, with its 1e-6,
is that of the reference code (skhu101/GM-NAS, `match_loss`, metric `cos`).
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from dnas.errors import UserError


def gradient_distances(gradients: Sequence[Any]) -> np.ndarray:
    """Return the distances 1 - cos between the gradients that belong to the K operations of an edge.

    Gradient k is that of the training loss with the edge set to operation k alone, all other edges as they are, with
    respect to all weights except the edge's own. The published distances are means over 100 minibatches: average the
    results of this function, not the gradients.

    Args:
        gradients: K pytrees of equal structure, each read as one long vector.

    Returns:
        `(K, K)` float64, symmetric, between 0 (same direction) and 2 (opposite).

    Raises:
        UserError: if the gradients do not have equal sizes, or one is not finite.
    """
    vectors = [
        np.concatenate([np.ravel(np.asarray(leaf, np.float64)) for leaf in jax.tree.leaves(tree)]) for tree in gradients
    ]
    sizes = sorted({vector.size for vector in vectors})
    if len(sizes) != 1 or not all(np.isfinite(vector).all() for vector in vectors):
        raise UserError(
            f"gradients: expected finite ones of the same weights for every operation, got sizes {sizes}; leave out "
            f"the edge's own weights and check that the search has not diverged"
        )
    stacked = np.stack(vectors)
    lengths = np.linalg.norm(stacked, axis=1)
    return 1 - stacked @ stacked.T / (np.outer(lengths, lengths) + 1e-6)
