"""Every decision of a model, found by tracing it once without computing anything."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.extend import core

from dnas.choices.context import Decision, Verdict, under
from dnas.choices.mixing import MARK
from dnas.errors import UserError
from dnas.macs import inner

LOOPS = ("scan", "while")
COMPILED = ("jit", "pjit")


class Found(NamedTuple):
    """What tracing a model gives.

    Attributes:
        decisions: in the order in which the model comes to them.
        shapes: of what the traced function returns.
    """

    decisions: tuple[Decision, ...]
    shapes: Any


def uniform(decision: Decision) -> Verdict:
    """Answer with equal weights, so that every option is computed."""
    count = len(decision.options)
    return jnp.full(count, 1 / count, jnp.float32)


def find(run: Callable[..., Any], *examples: Any) -> Found:
    """Trace `run(*examples)` with every choice open.

    Args:
        run: calls the model.
        examples: arrays or `ShapeDtypeStruct`s.

    Raises:
        UserError: if the model has no choice, different ones under one name, one in a loop without a name, or one in a
            function that is compiled apart.
    """
    found: dict[str, Decision] = {}

    def note(decision: Decision) -> Verdict:
        before = found.setdefault(decision.name, decision)
        if decision.widths and not before.widths:
            found[decision.name] = decision
        if before.options != decision.options:
            raise UserError(
                f"two different choices are called {decision.name!r}, one of {', '.join(before.options)} and one of "
                f"{', '.join(decision.options)}: give them names of their own, or the same options"
            )
        return uniform(decision)

    traced, shapes = jax.make_jaxpr(under(note, run), return_shape=True)(*examples)
    if not found:
        raise UserError(
            "the model has no open choice: put a dnas.Choice, InputChoice, Repeat or an entangled layer into it"
        )
    inside = set(_inside(traced.jaxpr, frozenset()))
    for decision in found.values():
        if any((decision.name, kind) in inside for kind in COMPILED):
            raise UserError(
                f"choice {decision.name!r} is inside a function that is compiled apart (nn.jit or jax.jit), of which "
                f"JAX would remember what was decided first: leave that out, a search compiles its steps as a whole"
            )
        if any((decision.name, kind) in inside for kind in LOOPS) and not decision.named:
            raise UserError(
                f"choice {decision.name!r} is inside a loop (nn.scan or lax.scan), so that all turns decide alike: "
                f"say so by giving it a name, decision='...', or write the layers out to decide each by itself"
            )
    return Found(tuple(found.values()), shapes)


def _inside(jaxpr: core.Jaxpr, around: frozenset[str]) -> Iterator[tuple[str, str]]:
    """Yield the names of the decisions that are made inside other equations, and what these are."""
    for equation in jaxpr.eqns:
        mark = str(equation.params.get("name", ""))
        if mark.startswith(MARK):
            yield from ((mark.removeprefix(MARK), kind) for kind in around)
        for body in inner(equation.params):
            yield from _inside(body, around | {equation.primitive.name})
