"""How decisions reach the layers that ask for them, without a word in the modules between.

What is decided is set for the duration of one call of a model (`deciding`), as Flax does for its own module stack, so
that a layer finds it inside `nn.scan`, `nn.remat` or a loop, and the model around it passes nothing on.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

from dnas.types import Array, Paths


class Decision(NamedTuple):
    """One open choice.

    Attributes:
        name: where it is, or the name under which several layers share it.
        options: names of what may be chosen.
        named: whether the user named it.
        widths: how many channels each option has, where it chooses a width.
        windows: the window of each option, where it chooses the window of a kernel.
        path: where in the model the layer is that asks.
    """

    name: str
    options: tuple[str, ...]
    named: bool
    widths: tuple[int, ...] = ()
    windows: tuple[tuple[int, ...], ...] = ()
    path: tuple[str, ...] = ()


Verdict = int | Array | Paths
"""What a layer is to compute: one option alone, all of them mixed by weights `(K,)`, or a few of them, with weights
`(K,)` and columns `(P,)`."""

Decider = Callable[[Decision], Verdict]

_DECIDER: ContextVar[Decider | None] = ContextVar("dnas decider", default=None)


@contextmanager
def deciding(decider: Decider) -> Iterator[None]:
    """Let `decider` answer the layers that are called inside."""
    token = _DECIDER.set(decider)
    try:
        yield
    finally:
        _DECIDER.reset(token)


def under(decider: Decider, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function`, every call of which `decider` answers.

    A function of its own each time, since JAX remembers the traces of a function, and knows nothing of who decides.
    """

    def decided(*args: Any, **kwargs: Any) -> Any:
        with deciding(decider):
            return function(*args, **kwargs)

    return decided


def decided() -> bool:
    """Return whether someone answers: what a module computes is then not decided by the module alone."""
    return _DECIDER.get() is not None


def decide(decision: Decision) -> Verdict:
    """Return what a layer is to compute; outside of `deciding` its first option, so that the model runs by itself."""
    decider = _DECIDER.get()
    return 0 if decider is None else decider(decision)
