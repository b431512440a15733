"""The network that is left when every choice is made: the same module, with what was not chosen gone."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax.interpreters import partial_eval

from dnas.choices.context import Decider, Decision, Verdict, under
from dnas.choices.inherit import Cuts, Flat, cuts_of, flat, joined
from dnas.choices.model import Model
from dnas.errors import UserError, unknown
from dnas.genotype import Cell, Edge, Genotype
from dnas.macs import count_macs
from dnas.types import Array, Network, Output, PRNGKey, Stats, Variables, Workload


def chosen(decisions: tuple[Decision, ...], genotype: Genotype) -> Mapping[str, int]:
    """Return which option a genotype chooses for each decision.

    Raises:
        UserError: for a genotype of other decisions or options.
    """
    cells = dict(genotype.cells)
    if set(cells) != {decision.name for decision in decisions}:
        raise UserError(
            f"the genotype decides {', '.join(sorted(cells)) or 'nothing'}, but the model's choices are "
            f"{', '.join(decision.name for decision in decisions)}: give a genotype of this space"
        )
    found = {}
    for decision in decisions:
        nodes = cells[decision.name].nodes
        if len(nodes) != 1 or len(nodes[0]) != 1:
            raise UserError(
                f"choice {decision.name!r}: expected one option in the genotype, got {cells[decision.name]}"
            )
        op = nodes[0][0].op
        if op not in decision.options:
            raise unknown(f"option of choice {decision.name!r}", op, decision.options)
        found[decision.name] = decision.options.index(op)
    return found


def genotype_of(space: str, choices: Mapping[str, str]) -> Genotype:
    """Return the genotype that chooses these options, by the names of their decisions."""
    return Genotype(space, tuple((name, Cell(((Edge(option, 0),),), (1,))) for name, option in choices.items()))


def fixed(choices: Mapping[str, int]) -> Decider:
    """Answer with the chosen option alone."""
    return lambda decision: choices[decision.name]


class Derived(NamedTuple):
    """A model with its choices made.

    Attributes:
        model: the model.
        choices: which option of each decision.
        needed: shapes of the parameters and statistics that its outputs depend on, flat by path.
        left_out: shapes of the others: parts of the model whose outputs are not chosen.
        cuts: what the choices leave of a supernet's arrays.
        asked: the decisions of layers that the network calls.
    """

    model: Model
    choices: Mapping[str, int]
    needed: Flat
    left_out: Flat
    cuts: Cuts
    asked: tuple[Decision, ...]

    def init(self, key: PRNGKey, x: Any) -> Variables:
        """Return fresh variables, of what is needed only."""
        return self.kept(under(fixed(self.choices), self.model.init)(key, x))

    def apply(
        self, variables: Variables, x: Any, *, train: bool, key: PRNGKey | None = None, drop_path: Array | float = 0.0
    ) -> tuple[Output, Stats]:
        """Return the outputs and the statistics after the call; as `Network.apply`."""
        if isinstance(drop_path, jax.core.Tracer) or drop_path:
            raise UserError("networks of this space have no drop path: set retrain.drop_path=0")
        # No output depends on these values; the model asks for them all the same.
        rest = {path: jnp.zeros(leaf.shape, leaf.dtype) for path, leaf in self.left_out.items()}
        whole = joined(flat(variables) | rest)
        outputs, stats = under(fixed(self.choices), self.model.apply)(whole, x, train, key)
        return Output(outputs), self.kept(Variables({}, stats)).stats

    def kept(self, variables: Variables) -> Variables:
        """Return the part of these variables that is needed."""
        return joined({path: leaf for path, leaf in flat(variables).items() if path in self.needed})

    def content(self, example: Any) -> frozenset[tuple[str, int]]:
        """Return the choices that the outputs depend on, by tracing the network with one of them open at a time.

        Where all variables are needed, all that are asked for count.
        """
        own = [each for each in self.asked if not self.left_out or self._depends(each, example)]
        return frozenset((each.name, self.choices[each.name]) for each in own)

    def _depends(self, decision: Decision, example: Any) -> bool:
        weights = jax.ShapeDtypeStruct((len(decision.options),), jnp.float32)

        def run(weights: Array, x: Any, key: PRNGKey) -> Any:
            def decider(each: Decision) -> Verdict:
                return weights if each.name == decision.name else self.choices[each.name]

            def once(x: Any, key: PRNGKey) -> Any:
                return self.model.apply(self.model.init(key, x), x, False, None)[0]

            return under(decider, once)(x, key)

        key = jax.eval_shape(lambda: jax.random.key(0))
        jaxpr = jax.make_jaxpr(run)(weights, example, key).jaxpr
        return bool(partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))[1][0])

    def network(self, example: Any) -> Network:
        """Return the network, for inputs like `example`."""

        def workload(shape: tuple[int, ...]) -> Workload:
            x = one(example) if not hasattr(example, "shape") else jax.ShapeDtypeStruct((1, *shape), example.dtype)
            same = jax.tree.map(jnp.shape, x) == jax.tree.map(lambda leaf: (1, *leaf.shape[1:]), example)
            variables = joined(self.needed) if same else jax.eval_shape(self.init, jax.random.key(0), x)
            params = sum(leaf.size for leaf in jax.tree.leaves(variables.params))
            return Workload(params, count_macs(lambda v, x: self.apply(v, x, train=False)[0], variables, x))

        return Network(self.init, self.apply, workload)


def derive(model: Model, choices: Mapping[str, int], example: Any) -> Derived:
    """Return the model with these choices; what no output depends on is found by tracing it on `example`."""
    met: list[Decision] = []

    def noting(decision: Decision) -> int:
        met.append(decision)
        return choices[decision.name]

    whole = flat(jax.eval_shape(under(noting, model.init), jax.random.key(0), example))
    key = jax.ShapeDtypeStruct((), jax.random.key(0).dtype)
    paths, used = list(whole), [False] * len(whole)
    for train in (False, True):

        def run(leaves: list[Any], x: Any, key: Any, train: bool = train) -> Any:
            own = joined(dict(zip(paths, leaves, strict=True)))
            return model.apply(own, x, train, key if train and model.draws else None)[0]

        jaxpr = jax.make_jaxpr(under(fixed(choices), run))(list(whole.values()), example, key).jaxpr
        own = partial_eval.dce_jaxpr(jaxpr, [True] * len(jaxpr.outvars))[1]
        used = [a or b for a, b in zip(used, own[: len(paths)], strict=True)]
    needed = {path: leaf for (path, leaf), need in zip(whole.items(), used, strict=True) if need}
    left_out = {path: leaf for path, leaf in whole.items() if path not in needed}
    cuts = cuts_of(met, choices)
    if model.kept is not None:
        cuts = cuts._replace(exact=model.kept(choices))
    return Derived(model, choices, needed, left_out, cuts, tuple({each.name: each for each in met}.values()))


def one(example: Any) -> Any:
    """Return the shapes of an example input."""
    return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(jnp.shape(leaf), jnp.result_type(leaf)), example)
