"""How channels go through a traced program: which axes of its arrays are one, and where what is left out stays zero."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from jax.extend import core

from dnas.choices.axes import RESULT, Groups, related
from dnas.choices.graph import Graph
from dnas.choices.zeros import vanishes
from dnas.macs import inner


class Value(NamedTuple):
    """What is known of an array of a traced program.

    Attributes:
        axes: a node for each.
        sources: for each axis the nodes of variables whose entries lie along it; `None` where the array depends on the
            input of the model.
        zeros: for each axis, whether entries that are left out along it are zero, if those of variables are.
        zero: whether it is zero everywhere.
    """

    axes: tuple[int, ...]
    sources: tuple[frozenset[int], ...] | None
    zeros: tuple[bool, ...]
    zero: bool = False


class Walk:
    """A walk through programs of the same variables.

    Attributes:
        graph: the axes of their arrays.
        held: nodes of variables whose entries must be held at zero where they are left out.
    """

    def __init__(self) -> None:
        """Begin with nothing known."""
        self.graph = Graph()
        self.held: set[int] = set()

    def run(self, program: core.Jaxpr, operands: Sequence[Value]) -> list[Value]:
        """Join the axes in a program, and return its results."""
        known: dict[core.Var, Value] = dict(zip(program.invars, operands, strict=True))
        for constant in program.constvars:
            known[constant] = self._constant(constant)

        def read(atom: Any) -> Value:
            return self._constant(atom) if isinstance(atom, core.Literal) else known[atom]

        for equation in program.eqns:
            results = self._equation(equation, [read(atom) for atom in equation.invars])
            known.update(zip(equation.outvars, results, strict=True))
        return [read(atom) for atom in program.outvars]

    def _constant(self, atom: Any) -> Value:
        axes = self.graph.array(atom.aval.shape)
        self.graph.fix(
            (node for node, size in zip(axes, atom.aval.shape, strict=True) if size > 1), "joined with a constant"
        )
        zero = not axes and isinstance(atom, core.Literal) and not bool(atom.val)
        return Value(axes, (frozenset(),) * len(axes), (zero,) * len(axes), zero)

    def _equation(self, equation: Any, operands: list[Value]) -> list[Value]:
        name, params = equation.primitive.name, equation.params
        if name == "cond":
            branches = [self.run(each.jaxpr, operands[1:]) for each in params["branches"]]
            return [self._one_of(own, operands[0].sources is None) for own in zip(*branches, strict=True)]
        if name == "scan":
            return self._scan(params, operands)
        if name == "while":
            return self._while(params, operands)
        rule = related(equation)
        if rule is not None:
            return self._related(equation, operands, *rule)
        bodies = inner(params)
        if len(bodies) == 1 and len(bodies[0].invars) == len(operands):
            return self.run(bodies[0], operands)
        return self._related(equation, operands, [], f"used by {name}, of which it is not known what it does to them")

    def _related(self, equation: Any, operands: list[Value], groups: Groups, why: str) -> list[Value]:
        results = [self._result(equation, each.aval.shape, operands) for each in equation.outvars]
        arrays = dict(enumerate(operands)) | {RESULT - number: value for number, value in enumerate(results)}
        lengths = {n: equation.invars[n] if n > RESULT else equation.outvars[RESULT - n] for n in arrays}
        sizes = {(n, axis): size for n, atom in lengths.items() for axis, size in enumerate(atom.aval.shape)}
        for group in ([slot for slot in group if sizes[slot] > 1] for group in groups):
            nodes = [arrays[n].axes[axis] for n, axis in group]
            self.graph.join_all((nodes[0], node) for node in nodes[1:])
            given = {n: axis for n, axis in group if n > RESULT}
            made = [(RESULT - n, axis) for n, axis in group if n <= RESULT]
            sources = frozenset().union(*(_sources(operands[n], axis) for n, axis in given.items()))
            zeros = [value.zeros[given[n]] if n in given else value.zero for n, value in enumerate(operands)]
            for n, axis in made:
                results[n] = _along(results[n], axis, sources, vanishes(equation, zeros))
            if not made:
                self._summed(operands, given)
        grouped = {slot for group in groups for slot in group}
        self.graph.fix(
            (arrays[n].axes[axis] for (n, axis), size in sizes.items() if size > 1 and (n, axis) not in grouped), why
        )
        depends = any(value.sources is None for value in operands)
        return [self._dependent(value) for value in results] if depends else results

    def _result(self, equation: Any, shape: Sequence[int], operands: list[Value]) -> Value:
        zero = bool(operands) and vanishes(equation, [value.zero for value in operands])
        return Value(self.graph.array(shape), (frozenset(),) * len(shape), (zero,) * len(shape), zero)

    def _summed(self, operands: list[Value], axes: Mapping[int, int]) -> None:
        """Note what a product sums over: what is left out must be zero in one of the operands."""
        along = [(operands[n], axis) for n, axis in axes.items()]
        if any(value.sources is None and value.zeros[axis] for value, axis in along):
            return
        held = [(value, axis) for value, axis in along if value.sources is not None and value.zeros[axis]]
        self.held.update(*(_sources(value, axis) for value, axis in held))
        if not held:
            why = "summed over by a product of two arrays that nothing holds at zero"
            self.graph.fix((value.axes[axis] for value, axis in along), why)

    def _dependent(self, value: Value) -> Value:
        """Return the value as one that depends on the input."""
        self.held.update(*(value.sources or ()))
        return value._replace(sources=None)

    def _one_of(self, values: Sequence[Value], depends: bool) -> Value:
        """Return what is one of these values."""
        first, *others = values
        for other in others:
            self.graph.join_all(zip(first.axes, other.axes, strict=True))
        zeros = tuple(map(all, zip(*(value.zeros for value in values), strict=True)))
        first = first._replace(zeros=zeros, zero=all(value.zero for value in values))
        if depends or any(value.sources is None for value in values):
            for other in others:
                self._dependent(other)
            return self._dependent(first)
        every = zip(*(value.sources for value in values if value.sources is not None), strict=True)
        return first._replace(sources=tuple(frozenset().union(*each) for each in every))

    def _scan(self, params: Mapping[str, Any], operands: list[Value]) -> list[Value]:
        consts, carried = params["num_consts"], params["num_consts"] + params["num_carry"]
        turns = [_turn(value) for value in operands[carried:]]
        self.graph.fix((value.axes[0] for value in operands[carried:]), "turned over by a loop")

        def turn(carry: list[Value]) -> list[Value]:
            return self.run(params["jaxpr"].jaxpr, [*operands[:consts], *carry, *turns])

        carry, stacked = self._turned(turn, operands[consts:carried])
        lengths = [self.graph.array((params["length"],)) for _ in stacked]
        self.graph.fix((axis for (axis,) in lengths), "turned over by a loop")
        return carry + [
            value._replace(
                axes=length + value.axes,
                sources=None if value.sources is None else (frozenset(), *value.sources),
                zeros=(value.zero, *value.zeros),
            )
            for length, value in zip(lengths, stacked, strict=True)
        ]

    def _while(self, params: Mapping[str, Any], operands: list[Value]) -> list[Value]:
        first = params["cond_nconsts"]
        second = first + params["body_nconsts"]

        def turn(carry: list[Value]) -> list[Value]:
            self.run(params["cond_jaxpr"].jaxpr, [*operands[:first], *carry])
            return self.run(params["body_jaxpr"].jaxpr, [*operands[first:second], *carry])

        return self._turned(turn, operands[second:])[0]

    def _turned(
        self, turn: Callable[[list[Value]], list[Value]], begin: list[Value]
    ) -> tuple[list[Value], list[Value]]:
        """Return what a loop carries in the end, and what else a turn returns."""
        carry = [self._dependent(value) for value in begin]
        while True:
            results = turn(carry)
            after = [self._one_of(pair, True) for pair in zip(carry, results, strict=False)]
            if [(each.zeros, each.zero) for each in after] == [(each.zeros, each.zero) for each in carry]:
                return after, results[len(carry) :]
            # A turn makes something of zeros, of which the next one begins.
            carry = after


def _sources(value: Value, axis: int) -> frozenset[int]:
    return frozenset() if value.sources is None else value.sources[axis]


def _along(value: Value, axis: int, sources: frozenset[int], zero: bool) -> Value:
    """Return the value with this said of one of its axes."""
    known, zeros = list(value.sources or ()), list(value.zeros)
    known[axis], zeros[axis] = sources, zero
    return value._replace(sources=tuple(known), zeros=tuple(zeros))


def _turn(value: Value) -> Value:
    """Return the value of one turn of a loop over the first axis."""
    sources = None if value.sources is None else value.sources[1:]
    return Value(value.axes[1:], sources, value.zeros[1:], value.zero)
