"""Several processes, one or more a host, that do one run together.

All of them run the same program in the same order. What only one may do, such as writing a file, process 0 does while
the others wait for what came of it; so an error of one is an error of all, and all leave the run at the same step.
"""

import functools
import json
import os
import sys
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, NamedTuple, NoReturn, ParamSpec, TypeVar, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils

from dnas.devices import stderr
from dnas.errors import UserError, reason

Value = TypeVar("Value")
Args = ParamSpec("Args")
_SHORT, _LENGTH = 256, 8
_ALONE: ContextVar[bool] = ContextVar("alone", default=False)
"""Set while process 0 does something by itself, for the others do not take part in what that calls."""
_BROKEN = ("Gloo", "NCCL", "coordination service", "Connection reset", "Connection closed", "heartbeat")


class Cluster(NamedTuple):
    """Where the processes of a run find each other; where all entries are `None`, JAX asks the cluster's scheduler.

    Attributes:
        coordinator: `HOST:PORT` on the host of process 0, reachable from all.
        processes: how many there are.
        process: which of them this is, from 0.
        heartbeat_seconds: silence after which a process counts as lost.
    """

    coordinator: str | None = None
    processes: int | None = None
    process: int | None = None
    heartbeat_seconds: int = 100


def join(cluster: Cluster) -> None:
    """Connect this process with the others; must come before anything runs on a device.

    From here on a process whose peer dies ends too: at once where the connection breaks, after `heartbeat_seconds`
    where the peer only falls silent.

    Raises:
        UserError: if `cluster` is incomplete or no scheduler is known.
    """
    given = cluster[:3]
    if None in given and given != (None, None, None):
        raise UserError(
            f"--coordinator, --processes and --process belong together, got {cluster.coordinator}, "
            f"{cluster.processes} and {cluster.process}: give all three"
        )
    if cluster.coordinator is not None and not cluster.coordinator.rpartition(":")[2].isdigit():
        raise UserError(f"--coordinator: expected HOST:PORT, got {cluster.coordinator!r}")
    if cluster.processes is not None and not 0 <= (cluster.process or 0) < cluster.processes:
        raise UserError(
            f"--process: expected a number from 0 to {cluster.processes - 1}, one less than --processes, got "
            f"{cluster.process}"
        )
    stderr.watch()
    # JAX's own handling of SIGTERM would take the signal from ours, which writes a checkpoint.
    jax.config.update("jax_enable_preemption_service", False)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            *given,
            cluster_detection_method="deactivate" if cluster.coordinator else None,
            heartbeat_timeout_seconds=cluster.heartbeat_seconds,
            shutdown_timeout_seconds=cluster.heartbeat_seconds,
        )
    except ValueError as error:
        raise UserError(
            f"--distributed found no scheduler that says who takes part ({reason(error)}): give --coordinator, "
            f"--processes and --process"
        ) from None


def several() -> bool:
    """Whether other processes do this run together with this one."""
    return not _ALONE.get() and jax.distributed.is_initialized() and jax.process_count() > 1


def first() -> bool:
    """Whether this is process 0, which alone writes and prints."""
    return not several() or jax.process_index() == 0


def exchange(value: Any) -> list[Any]:
    """Return the values (of JSON's types) that all processes give, in their order; all must call this together."""
    if not several():
        return [value]
    own = json.dumps(value).encode()
    # The first message tells how long each text is and holds it where it is short, as most are.
    heads = _gather(len(own).to_bytes(_LENGTH, "big") + own, _SHORT)
    lengths = [int.from_bytes(head[:_LENGTH], "big") for head in heads]
    texts = [head[_LENGTH:] for head in heads]
    if max(lengths) > _SHORT - _LENGTH:
        texts = _gather(own, 1 << max(lengths).bit_length())
    return [json.loads(text[:length]) for text, length in zip(texts, lengths, strict=True)]


def _gather(own: bytes, size: int) -> list[bytes]:
    """Return the first `size` bytes of what each process gives, filled up with zeros."""
    padded = np.zeros(size, np.uint8)
    padded[: len(own)] = np.frombuffer(own[:size], np.uint8)
    return [row.tobytes() for row in multihost_utils.process_allgather(padded)]


def all_do(action: Callable[[], Value]) -> Value:
    """Return what `action` gives in this process, once it has been done in all of them.

    Raises:
        UserError: if it failed in any process; its own error where it failed here.
    """
    if not several():
        return action()
    value, failure = _tried(action)
    failures = exchange(reason(failure) if failure else None)
    if failure:
        raise failure
    for process, text in enumerate(failures):
        if text is not None:
            raise UserError(f"process {process}: {text}")
    return cast(Value, value)


def first_does(action: Callable[[], Value]) -> Value:
    """Let process 0 do `action` and return its result, which must be of JSON's types, in all of them.

    Raises:
        UserError: if it failed; the error itself in process 0.
    """
    if not several():
        return action()
    value, failure = _tried(lambda: _alone(action)) if first() else (None, None)
    outcome = exchange([value, reason(failure) if failure else None])[0]
    if failure:
        raise failure
    if outcome[1] is not None:
        raise UserError(outcome[1])
    result: Value = outcome[0]
    return result


def _tried(action: Callable[[], Value]) -> tuple[Value | None, Exception | None]:
    """Return what `action` gives, or how it failed; that another process is gone is not for telling the others."""
    try:
        return action(), None
    except Exception as error:
        if broken(error):
            raise
        return None, error


def _alone(action: Callable[[], Value]) -> Value:
    token = _ALONE.set(True)
    try:
        return action()
    finally:
        _ALONE.reset(token)


def by_first(function: Callable[Args, Value]) -> Callable[Args, Value]:
    """Decorate a function that only process 0 runs; as `first_does`."""

    @functools.wraps(function)
    def run(*args: Args.args, **kwargs: Args.kwargs) -> Value:
        return first_does(lambda: function(*args, **kwargs))

    return run


def check_same(what: str, value: Any) -> None:
    """Raise `UserError` in all processes unless all give the same `value`; `what` is said to differ."""
    values = exchange(value)
    other = next((process for process, one in enumerate(values) if one != values[0]), None)
    if other is not None:
        raise UserError(f"process {other} has another {what} than process 0: give all processes the same")


def same(tree: Any) -> Any:
    """Return process 0's values of a pytree of arrays, whose shapes are equal in all processes."""
    if not several():
        return tree
    leaves, structure = jax.tree.flatten(tree)
    arrays = [np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf) for leaf in leaves]
    own = np.frombuffer(b"".join(array.tobytes() for array in arrays), np.uint8)
    source = bytes(multihost_utils.broadcast_one_to_all(own))
    values, start = [], 0
    for leaf, array in zip(leaves, arrays, strict=True):
        value = jnp.asarray(np.frombuffer(source, array.dtype, array.size, start).reshape(array.shape))
        start += array.nbytes
        values.append(jax.random.wrap_key_data(value, impl=jax.random.key_impl(leaf)) if _is_key(leaf) else value)
    return jax.tree.unflatten(structure, values)


def broken(error: BaseException) -> bool:
    """Whether `error` says that another process is gone."""
    return several() and not isinstance(error, UserError) and any(word in str(error) for word in _BROKEN)


def leave(sentence: str) -> NoReturn:
    """Print `sentence` and end this process at once with code 1, without waiting for processes that are gone."""
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(2, f"{sentence}\n".encode())
    os._exit(1)


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
