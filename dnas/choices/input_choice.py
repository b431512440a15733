"""A choice of which of several inputs go on."""

from collections.abc import Callable, Sequence
from itertools import combinations
from math import comb
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from dnas.choices.context import Decision, decide
from dnas.choices.mixing import check_equal, dense, marked, scaled, weighted
from dnas.choices.naming import decision_of
from dnas.errors import UserError

MOST = 256


class InputChoice(nn.Module):
    """The sum of `k` of several inputs, which of them is searched for.

    Each set of `k` inputs is an option of its own, so that every relaxation and selection rule holds for it as for any
    other choice. The part of the model that makes an input which a derived network does not keep is not trained, and
    has no parameters there, where nothing else needs it.

        x = InputChoice(k=1)([block_1, block_2, block_3])

    Attributes:
        k: how many inputs are kept.
        decision: the name under which layers share one decision; `None` decides for this place in the model alone.
        names: of the inputs; `None` numbers them.
    """

    k: int = 1
    decision: str | None = None
    names: tuple[str, ...] | None = None

    @nn.compact
    def __call__(self, inputs: Sequence[Any]) -> Any:
        """Return the sum of the chosen inputs, arrays or pytrees of equal shapes.

        Raises:
            UserError: if `k` of so many inputs cannot be chosen, or their shapes differ.
        """
        return some_of(inputs, self.k, self.names, lambda options: decision_of(self, self.decision, options))


def some_of(
    inputs: Sequence[Any], k: int, names: tuple[str, ...] | None, decision: Callable[[tuple[str, ...]], Decision]
) -> Any:
    """Return the sum of the `k` inputs that are chosen; `decision` is made of the options' names.

    Raises:
        UserError: if `k` of so many inputs cannot be chosen, or their shapes differ.
    """
    sets = _sets(len(inputs), k, names)
    names = names or tuple(str(index) for index in range(len(inputs)))
    own = decision(tuple("+".join(names[index] for index in chosen) for chosen in sets))
    verdict = decide(own)
    if isinstance(verdict, int):
        return _sum([inputs[index] for index in sets[verdict]])
    weights = dense(verdict)
    check_equal(own._replace(options=names), inputs)
    if k == 1:
        return weighted(own, weights, inputs)
    shares = [
        sum(weights[number] for number, chosen in enumerate(sets) if index in chosen) for index in range(len(inputs))
    ]
    return marked(own, _sum([scaled(jnp.asarray(share), value) for share, value in zip(shares, inputs, strict=True)]))


def _sets(count: int, k: int, names: tuple[str, ...] | None) -> list[tuple[int, ...]]:
    if not 0 < k < count:
        raise UserError(f"InputChoice: k is {k}, but there are {count} inputs: choose 1 to {count - 1} of them")
    if names is not None and len(names) != count:
        raise UserError(f"InputChoice: {len(names)} names for {count} inputs: give one name an input")
    if comb(count, k) > MOST:
        raise UserError(
            f"InputChoice: {k} of {count} inputs can be chosen in {comb(count, k)} ways, more than {MOST}: use several "
            f"InputChoices with k=1"
        )
    return list(combinations(range(count), k))


def _sum(values: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: sum(leaves[1:], start=leaves[0]), *values)
