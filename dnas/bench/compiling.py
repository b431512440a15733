"""What it takes to get a program ready: tracing, lowering, and compiling with and without the persistent cache.

A process that has traced or compiled anything is warm, so each measurement is a process of its own:
`python -m dnas.bench.compiling` reads a request as JSON from standard input and prints the result as JSON.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import jax
from jax.experimental.compilation_cache import compilation_cache

from dnas.bench.cases import Program, build
from dnas.bench.points import Point
from dnas.compiling import compiler_options

_OPTIONS: dict[str, Any] = {
    "jax_persistent_cache_min_compile_time_secs": 0.0,
    "jax_persistent_cache_min_entry_size_bytes": -1,
}


class Failed(Exception):
    """A program could not be compiled or run, for example because the device's memory is too small."""


@dataclass(frozen=True)
class Preparation:
    """Seconds that a program takes to get ready in a fresh process.

    Attributes:
        trace_seconds: Python to a traced program.
        lower_seconds: that to the compiler's input.
        compile_seconds: the compiler, or reading its output from the persistent cache.
        temporary_bytes: peak of temporary memory by the compiler's plan; `None` where the platform does not say.
    """

    trace_seconds: float
    lower_seconds: float
    compile_seconds: float
    temporary_bytes: int | None


@contextmanager
def persistent_cache(folder: Path) -> Iterator[None]:
    """Keep compiled programs of whatever size in `folder`, and return to the present cache afterwards."""
    wanted = {**_OPTIONS, "jax_compilation_cache_dir": str(folder)}
    before = {name: getattr(jax.config, name) for name in wanted}
    _configure(wanted)
    try:
        yield
    finally:
        _configure(before)


def _configure(options: dict[str, Any]) -> None:
    for name, value in options.items():
        jax.config.update(name, value)
    # JAX opens its cache once and then no longer looks where it should be.
    compilation_cache.reset_cache()


def prepare(program: Program, options: Mapping[str, str] | None = None) -> tuple[jax.stages.Compiled, Preparation]:
    """Trace, lower and compile a program and return it with the time of each; a state gives its memory to the next.

    Args:
        program: what is compiled.
        options: compiler options beside those of `dnas.compiling.compiler_options`.
    """
    begin = time.perf_counter()
    traced = jax.jit(program.function, donate_argnums=(0,) if program.chained else ()).trace(*program.arguments)
    after_trace = time.perf_counter()
    lowered = traced.lower()
    after_lower = time.perf_counter()
    compiled = lowered.compile(
        compiler_options={**compiler_options(second_order=program.second_order), **(options or {})}
    )
    end = time.perf_counter()
    seconds = (after_trace - begin, after_lower - after_trace, end - after_lower)
    return compiled, Preparation(*seconds, _temporary(compiled))


def _temporary(compiled: jax.stages.Compiled) -> int | None:
    analysis = compiled.memory_analysis()
    size = getattr(analysis, "temp_size_in_bytes", None)
    return int(size) if size else None


def in_fresh_process(point: Point, part: str, cache: Path) -> Preparation:
    """Prepare a program in a process of its own, with the persistent cache in `cache`.

    Raises:
        Failed: if that process fails; the message is the last line that it wrote.
    """
    request = json.dumps({"point": point.to_json(), "part": part, "cache": str(cache)})
    done = subprocess.run(
        [sys.executable, "-m", "dnas.bench.compiling"], input=request, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Failed(reason(done.stderr))
    return Preparation(**json.loads(done.stdout.splitlines()[-1]))


def reason(text: str) -> str:
    """Return the last line of an error's text, shortened to what fits on a line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else "no reason given"


def _main() -> None:
    request = json.load(sys.stdin)
    program = build(Point.from_json(request["point"])).programs[request["part"]]()
    with persistent_cache(Path(request["cache"])):
        print(json.dumps(asdict(prepare(program)[1])))


if __name__ == "__main__":
    _main()
