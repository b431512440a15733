"""Which genotypes of a user's own model are one network."""

from itertools import product
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.interpreters import partial_eval

import dnas
from dnas.choices.derived import genotype_of


class Block(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        return x + dnas.Choice({"relu": nn.Dense(3), "tanh": jnp.tanh}, name="op")(x)


class Net(nn.Module):
    @nn.compact
    def __call__(self, x: Any) -> Any:
        x = dnas.Repeat(Block(), times=(0, 1, 2), name="body")(x)
        wide = dnas.Choice({"one": nn.Dense(3), "two": nn.Dense(3, use_bias=False)}, name="wide")(x)
        return nn.Dense(2)(dnas.InputChoice(name="join", names=("plain", "wide"))([x, wide]))


def test_choices_that_no_output_depends_on_make_no_other_network() -> None:
    """Blocks beyond the depth, and a branch that is not joined: their choices are idle."""
    space = dnas.space(Net(), jnp.zeros((1, 3)))
    groups = {name: group.ops for name, group in space.spec.items()}
    every = [genotype_of(space.name, dict(zip(groups, ops, strict=True))) for ops in product(*groups.values())]
    assert len(every) == 3 * 2 * 2 * 2 * 2
    # Depths 0, 1 and 2 have 1, 2 and 4 contents; the join takes x, or one of two layers.
    contents = {space.content(genotype) for genotype in every}
    assert len(contents) == (1 + 2 + 4) * (1 + 2)
    programs: dict[Any, str] = {}
    x = jnp.zeros((1, 3))
    for genotype in every:
        network = space.build(genotype)
        variables = jax.eval_shape(network.init, jax.random.key(0), x)
        traced = jax.make_jaxpr(lambda v, x, network=network: network.apply(v, x, train=False)[0].logits)(variables, x)
        program = str(partial_eval.dce_jaxpr(traced.jaxpr, [True])[0])
        assert programs.setdefault(space.content(genotype), program) == program, "one content, one program"
    assert len(set(programs.values())) == len(contents)
