"""Compiler options under which programs of this library do better than under the compiler's own choice."""

from functools import cache

import jax
import jax.numpy as jnp

_HANDED_OVER = "xla_cpu_experimental_ynn_fusion_type"
_FIRST_ORDER = {_HANDED_OVER: ""}
"""No kind of operation is handed to a library. With products handed over, reading a program from the persistent cache
takes time that grows with their number times the number of all instructions, a third of a minute for a DARTS supernet.
Steps are as fast."""
_SECOND_ORDER = {_HANDED_OVER: "LIBRARY_FUSION_TYPE_REDUCE"}
"""Sums are handed to a library. Between them second derivatives are long chains of element-wise operations with many
uses; where nothing ends such a chain, the compiler computes it again for each use."""
_APART = {"xla_disable_hlo_passes": "cse_barrier_expander"}
"""Optimisation barriers hold through fusion too, before which XLA's CPU compiler otherwise drops them."""


def compiler_options(*, second_order: bool = False) -> dict[str, str]:
    """Return options for `jax.jit(..., compiler_options=...)` on the default platform.

    They change how long compiling, loading and running take, and rounding. An option that the installed compiler does
    not know is left out.

    Args:
        second_order: whether the program differentiates a gradient, as a search with `Search.second_order` does.
    """
    return _known(tuple((_SECOND_ORDER if second_order else _FIRST_ORDER).items()))


def kept_apart() -> dict[str, str]:
    """Return further options, with which what `lax.optimization_barrier` separates is not computed in one loop.

    Under them the compiler refuses a few programs, such as loops over a handful of numbers (`JaxRuntimeError`).
    """
    return _known(tuple(_APART.items()))


@cache
def _known(options: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """Return those options that the installed compiler knows; none on platforms other than the CPU."""
    known = {}
    if jax.default_backend() == "cpu":
        for name, value in options:
            try:
                jax.jit(jnp.negative).lower(0.0).compile(compiler_options={name: value})
            except jax.errors.JaxRuntimeError:
                continue
            known[name] = value
    return known
