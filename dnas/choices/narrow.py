"""A model whose parameters have full size whatever is decided, made one that has what is decided.

In a derived network, variables are cut to the chosen widths and windows, and the modules around them, which go by the
sizes of their arrays, compute the narrower network. In a supernet, what follows a chosen width holds the channels at
zero that the width leaves out: the entries of its variables that belong to them are multiplied by 0
(`dnas.choices.ties`). Batch norm divides out what it is multiplied by, so that its scale and bias are multiplied as the
layer that chooses is; it gets a scale where it has none. Statistics of channels that are left out stay as they were.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dnas.choices.context import Decider, Decision, Verdict, decide, under
from dnas.choices.entangled import along, enclosing, places
from dnas.choices.finding import uniform
from dnas.choices.inherit import Flat, Kept, flat, joined
from dnas.choices.mixing import dense, shapes
from dnas.choices.model import Model
from dnas.choices.ties import Place, Tied, Traced, tied
from dnas.choices.widths import said
from dnas.errors import UserError
from dnas.types import Array, PRNGKey, Stats, Variables

Path = tuple[Any, ...]


class _Sliced(NamedTuple):
    """What is chosen of a model's variables.

    Attributes:
        shapes: of the variables, whole, by path.
        decisions: by name, those about widths and windows.
        tied: axes that follow widths.
        windows: for each kernel with a choice of windows, the decision's name.
    """

    shapes: Flat
    decisions: Mapping[str, Decision]
    tied: Tied
    windows: Mapping[Path, str]

    def kept(self, choices: Mapping[str, int]) -> Kept:
        """Return which entries of each array these choices keep, along each axis."""
        found = {}
        for path, leaf in self.shapes.items():
            own = [slice(0, size) for size in leaf.shape]
            if (name := self.windows.get(path, "")) in choices:
                windows = self.decisions[name].windows
                largest, end = enclosing(windows), len(own) - 2
                own[end - len(largest) : end] = places(largest, windows[choices[name]], centred=True)
            for axis in range(len(own)):
                if (name := self.tied.widths.get((path, axis), "")) in choices:
                    own[axis] = slice(0, self.decisions[name].widths[choices[name]])
            found[path] = tuple(own)
        return found


def narrowed(model: Model, example: Any) -> Model:
    """Return the model with variables of the size that is decided.

    Args:
        model: whose `init` returns all variables at full size.
        example: shapes of an example input.

    Raises:
        UserError: if the model cannot be built with a smaller width, or would compute something else.
    """
    sliced = _sliced(model, example)
    if not sliced.decisions:
        return model

    def init(key: PRNGKey, x: Any) -> Variables:
        verdicts = {name: decide(decision) for name, decision in sliced.decisions.items()}
        kept = sliced.kept({name: verdict for name, verdict in verdicts.items() if isinstance(verdict, int)})
        return joined({path: leaf[kept[path]] for path, leaf in flat(model.init(key, x)).items()})

    def apply(variables: Variables, x: Any, train: bool, key: PRNGKey | None) -> tuple[Any, Stats]:
        leaves, factors = flat(variables), _factors(sliced.decisions)
        held = leaves | dict(_held(leaves, sliced.tied, factors, model.norms or frozenset()))
        outputs, stats = model.apply(joined(held), x, train, key)
        if not factors:
            return outputs, stats
        after = flat(Variables({}, stats))
        return outputs, joined(
            {path: _rested(path, leaves, leaf, sliced.tied, factors) for path, leaf in after.items()}
        ).stats

    own = model._replace(init=init, apply=apply, kept=sliced.kept)
    _check(own, sliced.decisions, example)
    return own


def _sliced(model: Model, example: Any) -> _Sliced:
    """Find what follows the choices of width, by tracing the model at its largest."""
    met: list[Decision] = []
    variables = jax.eval_shape(under(uniform, model.init), jax.random.key(0), example)
    leaves = flat(variables)
    traces = [_trace(model, partial(_widest, met), leaves, example, train) for train in (False, True)]
    decisions = {each.name: each for each in met}
    windows = {("params", *each.path, "kernel"): each.name for each in met if each.windows}
    widths: dict[Place, str] = {}
    for each in met:
        for name in ("kernel", "bias") if each.widths else ():
            path = ("params", *each.path, name)
            if path in leaves:
                widths[path, leaves[path].ndim - 1] = each.name
    return _Sliced(leaves, decisions, tied(leaves, traces, widths), windows)


def _widest(met: list[Decision], decision: Decision) -> Verdict:
    """Answer with the largest width and leave all else open."""
    if decision.widths or decision.windows:
        met.append(decision)
    return decision.widths.index(max(decision.widths)) if decision.widths else uniform(decision)


def _trace(model: Model, decider: Decider, leaves: Flat, example: Any, train: bool) -> Traced:
    paths, stats = list(leaves), [path for path in leaves if path[0] == "stats"]

    def run(values: list[Any], x: Any, key: Any) -> Any:
        own = joined(dict(zip(paths, values, strict=True)))
        outputs, after = model.apply(own, x, train, key if train and model.draws else None)
        found = flat(Variables({}, after))
        return outputs, [found[path] for path in stats]

    key = jax.ShapeDtypeStruct((), jax.random.key(0).dtype)
    program, (outputs, _) = jax.make_jaxpr(under(decider, run), return_shape=True)(list(leaves.values()), example, key)
    return Traced(program, len(jax.tree.leaves(outputs)), stats)


def _factors(decisions: Mapping[str, Decision]) -> dict[str, Array]:
    """Return what channels are multiplied by, `(largest width,)`, for each width that is not decided."""
    verdicts = {name: decide(decision) for name, decision in decisions.items() if decision.widths}
    return {
        name: along(decisions[name].widths, dense(verdict).astype(jnp.float32))
        for name, verdict in verdicts.items()
        if not isinstance(verdict, int)
    }


def _held(leaves: Flat, tied: Tied, factors: Mapping[str, Array], norms: frozenset[Path]) -> Iterator[tuple[Path, Any]]:
    """Yield the variables that hold channels at zero, so that they do."""
    for path, leaf in leaves.items():
        own = leaf
        for axis in range(leaf.ndim):
            name = tied.widths.get((path, axis), "")
            if name in factors and (path, axis) in tied.held:
                weighs = path[0] == "params" and path[1:-1] in norms
                factor = factors[name] if weighs else factors[name] != 0
                own = own * _lain(factor, axis, leaf.ndim).astype(leaf.dtype)
        yield path, own
    for norm in norms:
        scale, name = ("params", *norm, "scale"), tied.widths.get((("stats", *norm, "mean"), 0), "")
        if name in factors and scale not in leaves:
            yield scale, factors[name]


def _rested(path: Path, before: Flat, after: Any, tied: Tied, factors: Mapping[str, Array]) -> Any:
    """Return statistics after a call, of channels that are left out those before it."""
    for axis in range(after.ndim):
        name = tied.widths.get((path, axis), "")
        if name in factors:
            after = jnp.where(_lain(factors[name] != 0, axis, after.ndim), after, before[path])
    return after


def _lain(factor: Array, axis: int, rank: int) -> Array:
    return jnp.expand_dims(factor, [each for each in range(rank) if each != axis])


def _check(model: Model, decisions: Mapping[str, Decision], example: Any) -> None:
    """Raise `UserError` unless the model can be called with each width at its smallest, and returns the same shapes."""

    def returned(decider: Callable[[Decision], Verdict], train: bool) -> str:
        key = jax.random.key(0)
        variables = jax.eval_shape(under(decider, model.init), key, example)

        def run(variables: Variables, x: Any) -> Any:
            return model.apply(variables, x, train, key if train and model.draws else None)[0]

        return shapes(jax.eval_shape(under(decider, run), variables, example))

    for decision in decisions.values():
        if not decision.widths:
            continue
        width = min(decision.widths)

        def narrow(asked: Decision, own: Decision = decision, width: int = width) -> Verdict:
            return own.widths.index(width) if asked.name == own.name else _widest([], asked)

        with said(f"choice {decision.name!r} at width {width}"):
            for train in (False, True):
                if (own := returned(narrow, train)) != (whole := returned(partial(_widest, []), train)):
                    raise UserError(f"the model returns {own} instead of {whole}: let a layer of fixed width end it")
