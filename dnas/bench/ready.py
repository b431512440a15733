"""Our programs made ready to run, with what that took, or with the reason why they cannot run here."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dnas.bench.cases import Case, Program
from dnas.bench.compiling import Failed, Preparation, in_fresh_process, persistent_cache, prepare
from dnas.bench.machine import free_bytes
from dnas.bench.timing import Runner
from dnas.macs import count_macs


class Ready(NamedTuple):
    """A program of ours.

    Attributes:
        program: what it computes.
        macs: multiply-adds of a call.
        compiled: what runs; `None` if it cannot.
        cold: preparing it in a fresh process with an empty persistent cache, if measured.
        warm: the same once the cache holds it.
        temporary_bytes: peak of temporary memory, where the platform says.
        note: why it cannot run; empty if it can.
    """

    program: Program
    macs: int
    compiled: jax.stages.Compiled | None
    cold: Preparation | None
    warm: Preparation | None
    temporary_bytes: int | None
    note: str

    def runner(self) -> Runner:
        """Return a runner of a program that can run; the state of a step goes from call to call."""
        assert self.compiled is not None
        return _chained(self.compiled, self.program) if self.program.chained else _plain(self.compiled, self.program)


def ready(case: Case, part: str, cache: Path | None) -> Ready:
    """Prepare a program of `case`.

    Args:
        case: whose program.
        part: which of its programs.
        cache: an empty folder in which processes of their own measure the preparation; `None` does not measure it.
    """
    program = case.programs[part]()
    macs = count_macs(program.function, *program.arguments)
    cold = warm = None
    try:
        if cache is None:
            compiled, own = prepare(program)
        else:
            cold, warm = (in_fresh_process(case.point, part, cache) for _ in range(2))
            with persistent_cache(cache):
                compiled, own = prepare(program)
    except (Failed, jax.errors.JaxRuntimeError) as error:
        return Ready(program, macs, None, cold, warm, None, f"could not be compiled ({error})")
    needed = cold.temporary_bytes if cold else own.temporary_bytes
    note = too_large(needed)
    return Ready(program, macs, None if note else compiled, cold, warm, needed, note)


def too_large(needed: int | None) -> str:
    """Return a note if `needed` bytes are more than are free; running would end this process or its neighbours."""
    free = free_bytes()
    if needed is None or free is None or needed <= free:
        return ""
    return f"needs {needed / 1e9:.1f} GB of memory, {free / 1e9:.1f} GB are free"


def _plain(compiled: Callable[..., Any], program: Program) -> Runner:
    def run() -> None:
        jax.block_until_ready(compiled(*program.arguments))

    return run


def _chained(compiled: Callable[..., Any], program: Program) -> Runner:
    # The program gives the memory of its state to its result, and the first state is not ours to give.
    state = jax.tree.map(jnp.copy, program.arguments[0])

    def run() -> None:
        nonlocal state
        state, info = compiled(state, *program.arguments[1:])
        jax.block_until_ready((state, info))

    return run
