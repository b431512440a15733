"""Programs that are timed: an operation many times inside one dispatch, and a whole network."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dnas.bench.cases import Program
from dnas.bench.compiling import prepare
from dnas.bench.timing import Runner, seconds_of
from dnas.compiling import kept_apart
from dnas.hardware.measure.drift import steady
from dnas.nn.deployed import deployed
from dnas.nn.workload import Call
from dnas.types import Network

LONG = 0.01
"""Seconds of a dispatch at least: beside it, what a dispatch takes is nothing."""
MOST = 2**14
"""Repetitions inside a dispatch at most."""
FENCE = 1.5
"""A round is an outlier if it took longer than the third quartile by more than so many times the quartiles' distance
(Tukey's fence)."""


SHORTEST = 0.02
"""Seconds of a measurement at least: a shorter call is repeated."""


class Times(NamedTuple):
    """What programs take.

    Attributes:
        milliseconds: of each program, the median of its rounds.
        halves: the same of the even and of the odd rounds alone, which says how certain it is.
        outliers: how many measurements of all were left out.
        measurements: how many there were.
        swing: by what factor the machine was slower at times than at others, which was taken out.
    """

    milliseconds: Mapping[Any, float]
    halves: tuple[Mapping[Any, float], Mapping[Any, float]]
    outliers: int
    measurements: int
    swing: float


def operation(call: Call, batch: int) -> tuple[Runner, int]:
    """Return a runner of a compiled program that repeats an operation, and how often.

    Each repetition begins with an input of which one number depends on the repetition before: the compiler can neither
    take it out of the loop nor run two at once, and writing one number costs next to nothing.
    """
    variables = _filled(jax.eval_shape(lambda *arrays: _init(call, arrays), *call.arrays))
    arrays = tuple(_filled(call.arrays))

    def apply(variables: Any, arrays: tuple[Any, ...]) -> Any:
        args, kwargs = call.given(arrays)
        with deployed():
            return call.module.apply(variables, *args, **kwargs)

    def repeated(count: Any, variables: Any, arrays: tuple[Any, ...]) -> Any:
        shapes = jax.eval_shape(apply, variables, arrays)
        start = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)

        def once(_: Any, carry: tuple[Any, Any]) -> tuple[Any, Any]:
            (first, *rest), before = carry
            touched = jax.tree.leaves(before)[0].ravel()[0].astype(first.dtype)
            changed = first.at[(0,) * first.ndim].set(touched)
            # Without this the write becomes part of whatever reads the input, at each of its places.
            arrays = lax.optimization_barrier((changed, *rest))
            return arrays, apply(variables, arrays)

        return lax.fori_loop(0, count, once, (arrays, start))

    program = Program(repeated, (jnp.int32(1), variables, arrays), batch)
    compiled = _compiled(program)

    def run(count: int) -> None:
        jax.block_until_ready(compiled(jnp.int32(count), variables, arrays))

    run(1)
    count = 8
    while count < MOST and (took := seconds_of(partial(run, count), 1)) < LONG:
        count = min(MOST, max(2 * count, int(1.2 * count * LONG / max(took, 1e-6))))
    return partial(run, count), count


def network(net: Network, shape: tuple[int, ...], batch: int) -> Runner:
    """Return a runner of a compiled network in evaluation; weights are arguments, since only their shapes matter."""
    x = jax.ShapeDtypeStruct((batch, *shape), jnp.float32)
    variables, image = _filled((jax.eval_shape(net.init, jax.random.key(0), x), x))

    def apply(variables: Any, x: Any) -> Any:
        with deployed():
            return net.apply(variables, x, train=False)[0].logits

    compiled = _compiled(Program(apply, (variables, image), batch))

    def run() -> None:
        jax.block_until_ready(compiled(variables, image))

    run()
    return run


def timed(
    runners: Mapping[Any, Runner], counts: Mapping[Any, int], rounds: int, progress: Callable[[int], None]
) -> Times:
    """Run all in turn, in an order drawn anew for each round, and return what each takes at the machine's usual speed.

    Args:
        runners: what is run; each is warm.
        counts: repetitions inside a call of each; 1 for those that are not named.
        rounds: how often each is measured.
        progress: is told how many rounds are done.
    """
    programs = list(runners.values())
    calls = [max(1, int(np.ceil(SHORTEST / max(seconds_of(run, 1), 1e-9)))) for run in programs]
    rng = np.random.default_rng(0)
    which: list[int] = []
    seconds: list[float] = []
    for done in range(rounds):
        for program in rng.permutation(len(programs)).tolist():
            which.append(program)
            seconds.append(seconds_of(programs[program], calls[program]))
        progress(done + 1)
    found = steady(which, seconds)
    # A row for each program, its rounds in their order.
    table = found.seconds[np.argsort(which, kind="stable")].reshape(len(programs), rounds)
    table = table * 1e3 / np.array([counts.get(name, 1) for name in runners])[:, None]
    kept = [_without_outliers(row) for row in table]
    return Times(
        _medians(runners, kept),
        (_medians(runners, table[:, ::2]), _medians(runners, table[:, 1::2] if rounds > 1 else table)),
        table.size - sum(len(row) for row in kept),
        table.size,
        found.swing,
    )


def _medians(names: Iterable[Any], rows: Iterable[np.ndarray]) -> dict[Any, float]:
    return {name: float(np.median(row)) for name, row in zip(names, rows, strict=True)}


def _without_outliers(values: np.ndarray) -> np.ndarray:
    low, high = np.quantile(values, (0.25, 0.75))
    # With room for rounding, where all rounds took the same.
    return values[values <= (high + FENCE * (high - low)) * (1 + 1e-9)]


def _compiled(program: Program) -> jax.stages.Compiled:
    """Compile a deployed program; without barriers where the compiler cannot, which are programs of next to no work."""
    try:
        return prepare(program, kept_apart())[0]
    except jax.errors.JaxRuntimeError:
        return prepare(program)[0]


def _init(call: Call, arrays: tuple[Any, ...]) -> Any:
    args, kwargs = call.given(arrays)
    return call.module.init(jax.random.key(0), *args, **kwargs)


def _filled(shapes: Any) -> Any:
    """Return arrays of these shapes with numbers that stay of ordinary size through many layers.

    Kernels are scaled by their inputs; vectors, such as those of batch norm, are about 1, so that no value dies out:
    numbers that are almost 0 are slow on some processors.
    """
    rng = np.random.default_rng(0)

    def fill(leaf: jax.ShapeDtypeStruct) -> Any:
        if leaf.ndim < 2:
            return jnp.asarray(rng.uniform(0.9, 1.1, leaf.shape), leaf.dtype)
        scale = 1.0 / np.sqrt(max(1, np.prod(leaf.shape[:-1])))
        return jnp.asarray(rng.normal(0.0, scale, leaf.shape), leaf.dtype)

    return jax.tree.map(fill, shapes)
