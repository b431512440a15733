"""Whether an exported network does what the trained one does: run in a process that has neither dnas nor its packages.

The process is `python -I` with an import hook that finds nothing but the standard library and the packages that the
format needs (`dnas.export.clean`), so that what runs there runs wherever these are installed.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.compiling import compiler_options
from dnas.errors import UserError
from dnas.export import clean
from dnas.types import Array

TOLERANCE = 1e-4
"""Greatest difference of an output, in units of the largest output where that is above 1."""
NEEDS: Mapping[str, tuple[str, ...]] = {
    "stablehlo": ("jax", "flatbuffers"),
    "onnx": ("onnxruntime",),
    "flax": ("flax", "safetensors"),
}
"""What each format needs to run, as names for `pip install`."""
Score = Callable[[np.ndarray], float]
"""`(outputs) -> how good they are`, such as the share that is right."""


class Checked(NamedTuple):
    """What came of a check.

    Attributes:
        inputs: on how many inputs it ran.
        difference: largest absolute difference of an output.
        score: of the exported network; `None` where nothing is known of the inputs.
    """

    inputs: int
    difference: float
    score: float | None


def check(to: str, file: Path, inputs: np.ndarray, expected: np.ndarray, score: Score | None = None) -> Checked:
    """Run an exported network in a clean process and hold its outputs against those expected.

    Args:
        to: its format, of `NEEDS`.
        file: what was exported; for `flax`, `model.py`.
        inputs: `(N, ...)`, N at least 1.
        expected: `(N, ...)` outputs of the trained network.
        score: how good outputs are; must be the same for both.

    Raises:
        UserError: if it cannot be run or does something else.
    """
    outputs = run(to, file, inputs)
    if outputs.shape != expected.shape:
        raise UserError(f"the exported {to} returns {outputs.shape} where the network returns {expected.shape}")
    difference = float(np.abs(outputs - expected).max())
    allowed = TOLERANCE * max(1.0, float(np.abs(expected).max()))
    # A NaN is not within anything.
    if not difference <= allowed:
        raise UserError(
            f"the exported {to} differs from the network by {difference:.2g} on {len(inputs)} real inputs, expected at "
            f"most {allowed:.2g}: nothing was written, try --no-fold or another format"
        )
    found, wanted = (None, None) if score is None else (score(outputs), score(expected))
    if found != wanted:
        raise UserError(
            f"the exported {to} scores {found} where the network scores {wanted} on {len(inputs)} real inputs: nothing "
            f"was written, try --no-fold or another format"
        )
    return Checked(len(inputs), difference, found)


def run(to: str, file: Path, inputs: np.ndarray) -> np.ndarray:
    """Return the outputs of an exported network in a clean process.

    Raises:
        UserError: if it fails there; the message has the last line of what it said.
    """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    with tempfile.TemporaryDirectory(prefix="dnas-export-") as folder:
        before, after = Path(folder) / "inputs.npy", Path(folder) / "outputs.npy"
        np.save(before, inputs)
        words = [to, str(file.absolute()), str(before), str(after), json.dumps(sorted(importable(NEEDS[to])))]
        done = subprocess.run(
            [sys.executable, "-I", "-B", clean.__file__, *words],
            cwd=folder,
            env={**environment, "JAX_PLATFORMS": "cpu"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
            needs = " and ".join(NEEDS[to])
            raise UserError(f"the exported {to} does not run with {needs} alone ({said[0]}): nothing was written")
        return np.asarray(np.load(after))


def reference(call: Callable[[Array], Array], inputs: np.ndarray, at_once: int = clean.AT_ONCE) -> np.ndarray:
    """Return what a network computes, on the CPU where there is one and in full precision.

    Args:
        call: the network, which is compiled; an output belongs to an input, whatever else is in the minibatch.
        inputs: `(N, ...)`.
        at_once: how many inputs a call takes.
    """
    try:
        device = jax.devices("cpu")[0]
    except RuntimeError:
        device = jax.devices()[0]
    first = inputs[:at_once]
    with jax.default_device(device), jax.default_matmul_precision("highest"):
        # Weights as arguments: as constants of the program they would keep the compiler busy for minutes.
        traced = jax.make_jaxpr(call)(jax.ShapeDtypeStruct(first.shape, first.dtype))
        compiled = jax.jit(partial(jax.core.eval_jaxpr, traced.jaxpr), compiler_options=compiler_options())
        found = []
        for begin in range(0, len(inputs), len(first)):
            batch = inputs[begin : begin + len(first)]
            whole = np.concatenate([batch, first[: len(first) - len(batch)]])
            found.append(np.asarray(compiled(traced.consts, jnp.asarray(whole))[0])[: len(batch)])
        return np.concatenate(found)


def importable(distributions: Sequence[str]) -> set[str]:
    """Return the top-level names that these distributions, and all that they need, have for import."""
    wanted = set(closure(distributions))
    names = metadata.packages_distributions()
    return {name for name, owners in names.items() if any(_plain(owner) in wanted for owner in owners)}


def closure(distributions: Iterable[str]) -> Iterable[str]:
    """Yield the plain names of distributions and of all that they need, without extras; unknown ones are left out."""
    todo, seen = [_plain(name) for name in distributions], set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        try:
            requirements = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        yield name
        plain = (text for text in requirements if not re.search(r"\bextra\b\s*==", text))
        todo += [_plain(found[0]) for text in plain if (found := re.match(r"[A-Za-z0-9._-]+", text))]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
