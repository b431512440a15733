"""The solvable problem of DARTS (arXiv:1806.09055, figure 2) as a search: weights and alpha are one number each.

The training loss is (w - alpha)^2, the validation loss alpha * w - 2 * alpha + 1; labels say which of them is meant.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
import pytest

from dnas.types import Batch, Batches, Group, Relaxation, Search, SearchSpace, SearchState, Variables

SPEC = {"toy": Group(1, ("only",))}
TRAIN, VALID = 0, 1


def space(seen: list[bool] | None) -> SearchSpace:
    """Return the space; it notes in `seen` each evaluation as it is run, and counts those in training mode."""

    def apply(variables: Variables, mixture: Any, x: jax.Array, *, train: bool) -> Any:
        if seen is not None:
            jax.debug.callback(lambda _: seen.append(train), variables.stats["count"])
        logits = jnp.stack([variables.params["w"], mixture["toy"][0, 0]])
        stats = {"count": variables.stats["count"] + 1.0} if train else variables.stats
        return jnp.broadcast_to(logits, (len(x), 2)), stats

    def init(key: jax.Array, x: jax.Array) -> Variables:
        return Variables({"w": jnp.asarray(-2.0)}, {"count": jnp.zeros(())})

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("a search must not build a derived network")

    return SearchSpace("toy", SPEC, init, apply, refuse, refuse, refuse)


def identity(**parts: Any) -> Relaxation:
    """Return the relaxation whose operation weights are alpha itself, which starts at 2."""

    def expected(alpha: Any, state: Any) -> Any:
        return {name: alpha[name] for name in SPEC}

    plain = Relaxation(
        init=lambda key, spec: ({"toy": jnp.full((1, 1), 2.0)}, ()),
        weights=lambda key, alpha, state: expected(alpha, state),
        expected=expected,
        advance=lambda key, before, after, state: (after, state),
    )
    return plain._replace(**parts)


def loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
    w, alpha = logits[:, 0], logits[:, 1]
    return jnp.mean(jnp.where(labels == TRAIN, (w - alpha) ** 2, alpha * w - 2.0 * alpha + 1.0))


class Toy(NamedTuple):
    """Tools for searches on the solvable problem.

    Attributes:
        search: `(composition, *, watched, **parts) -> Search`; a watched one notes its evaluations in `seen`.
        relaxation: `(**parts) -> Relaxation`.
        batches: `(steps) -> Batches` with a leading axis.
        run: `(search, batches) -> (states after each step, infos)`, the steps under one scan.
        seen: evaluations that were run, `True` for one in training mode.
    """

    search: Callable[..., Search]
    relaxation: Callable[..., Relaxation]
    batches: Callable[[int], Batches]
    run: Callable[..., Any]
    seen: list[bool]


@pytest.fixture
def toy() -> Toy:
    seen: list[bool] = []

    def search(composition: Callable[..., Search], *, watched: bool = False, **parts: Any) -> Search:
        optimizers = {"weight_optimizer": optax.sgd(0.1), "alpha_optimizer": optax.sgd(0.05)}
        chosen = {"relaxation": identity(), "selection": None, "loss": loss, **optimizers, **parts}
        return composition(space(seen if watched else None), **chosen)

    def batches(steps: int) -> Batches:
        x = jnp.zeros((steps, 2, 1))
        return Batches(Batch(x, jnp.full((steps, 2), TRAIN)), Batch(x, jnp.full((steps, 2), VALID)))

    def run(search: Search, steps: int | Batches) -> tuple[SearchState, Any]:
        given = batches(steps) if isinstance(steps, int) else steps

        def step(state: SearchState, batch: Batches) -> Any:
            state, info = search.step(state, batch)
            return state, (state, info)

        @jax.jit
        def scanned(key: jax.Array) -> Any:
            return jax.lax.scan(step, search.init(key, jnp.zeros((2, 1))), given)[1]

        states, infos = jax.block_until_ready(scanned(jax.random.key(0)))
        jax.effects_barrier()
        return states, infos

    return Toy(search, identity, batches, run, seen)
