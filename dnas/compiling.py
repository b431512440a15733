"""Compiler options under which programs of this library do better than under the compiler's own choice."""

from functools import cache

import jax
import jax.numpy as jnp

_CPU = {"xla_cpu_experimental_ynn_fusion_type": ""}
"""No kind of operation is handed to a library. With products handed over, reading a program from the persistent cache
takes time that grows with their number times the number of all instructions, a third of a minute for a DARTS supernet.
Steps are as fast."""


@cache
def compiler_options() -> dict[str, str]:
    """Return options for `jax.jit(..., compiler_options=...)` on the default platform.

    They change how long compiling and loading take, and rounding. An option that the installed compiler does not know
    is left out.
    """
    known = {}
    if jax.default_backend() == "cpu":
        for name, value in _CPU.items():
            try:
                jax.jit(jnp.negative).lower(0.0).compile(compiler_options={name: value})
            except jax.errors.JaxRuntimeError:
                continue
            known[name] = value
    return known
