"""The supernet with one-hot operation weights is the derived network, and mixes linearly; what it refuses."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.errors import UserError
from dnas.losses import cross_entropy
from dnas.report import cell_svg
from dnas.report.cells import inputs_of
from dnas.selection import one_hot, random_genotype, top_edges
from dnas.types import Output, Paths, Variables
from search_spaces import hypercuboid
from search_spaces.hypercuboid.grid import END, GRID, Grid

SHAPE = (4, 8, 4, 3)
OPS = ("skip_connect", "max_pool_3x3", END)
SETTINGS: dict[str, Any] = {"classes": 3, "channels": 2, "widths": 2, "layers": 2, "head_channels": 4, "ops": OPS}
SPACE = hypercuboid.space(**SETTINGS)
GROUP = SPACE.spec[GRID]
SHARP_PATH = hypercuboid.Path((1, 0, 0, 1, 1), (END, "skip_connect", "max_pool_3x3", END))
# Compiles in half the time; the programs run for milliseconds.
jit = partial(jax.jit, compiler_options={"xla_backend_optimization_level": 0})
MODES = (True, False)


@pytest.fixture(scope="module")
def x() -> jax.Array:
    return jnp.asarray(np.random.default_rng(5).normal(size=SHAPE), jnp.float32)


@pytest.fixture(scope="module")
def variables(filled: Any) -> Variables:
    return filled(SPACE.init, SHAPE)


@pytest.fixture(scope="module")
def supernet() -> Any:
    """Compile the supernet once, for training and evaluation."""
    return jit(lambda v, w, x: [SPACE.apply(v, w, x, train=train) for train in MODES])


def close(got: Any, expected: Any, tolerance: float = 1e-5) -> None:
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * float(np.abs(b).max())),
        got,
        expected,
    )


@pytest.mark.parametrize("genotype", [
    hypercuboid.to_genotype(SHARP_PATH, Grid(2, 2)),
    *(random_genotype(SPACE, np.random.default_rng(seed)) for seed in range(3)),
])  # fmt: skip
def test_one_hot_supernet_is_the_derived_network(genotype: Any, variables: Variables, supernet: Any, x: Any) -> None:
    weights = one_hot(SPACE.spec, genotype)
    assert top_edges(SPACE, weights) == genotype
    network, inherited = SPACE.build(genotype, searched=True), SPACE.inherit(genotype, variables)
    derived = jit(lambda v, x: [network.apply(v, x, train=train) for train in MODES])

    (trained, after), (evaluated, unchanged) = supernet(variables, weights, x)
    (output, stats), (evaluation, same) = derived(inherited, x)
    close(output, Output(trained), 1e-4)
    close(stats, SPACE.inherit(genotype, Variables(variables.params, after)).stats, 1e-4)
    close(evaluation, Output(evaluated))
    for new, old in ((unchanged, variables.stats), (same, inherited.stats)):
        assert jax.tree.all(jax.tree.map(np.array_equal, new, old))
    assert np.ptp(evaluation.logits) > 0.1


def test_inherited_variables_are_those_of_the_path(variables: Variables) -> None:
    inherited = SPACE.inherit(hypercuboid.to_genotype(SHARP_PATH, Grid(2, 2)), variables)
    for tree, whole in zip(inherited, variables, strict=True):
        expected = {
            "stem": whole["stem_1"],
            "level_1": whole["edge_1_1_0"][END],
            "level_2": whole["edge_2_0_0"]["skip_connect"],
            "level_3": whole["edge_3_0_1"]["max_pool_3x3"],
            "level_4": whole["edge_4_1_1"][END],
            "end": whole["end_1"],
            **({"head": whole["head"]} if "head" in whole else {}),
        }
        assert tree.keys() == expected.keys()
        assert jax.tree.all(jax.tree.map(np.array_equal, dict(tree), expected))


def test_logits_are_affine_in_the_weights_of_the_edges_to_the_end(
    variables: Variables, supernet: Any, x: jax.Array
) -> None:
    weights = np.random.default_rng(0).random((GROUP.edges, len(OPS))).astype(np.float32)
    end, column = slice(GROUP.edges - 2, None), OPS.index(END)

    def logits(*pair: float) -> np.ndarray:
        own = weights.copy()
        own[end, column] = pair
        return np.stack([np.asarray(value) for value, _ in supernet(variables, {GRID: own}, x)])

    nothing, first, second = logits(0, 0), logits(1, 0), logits(0, 1)
    mixed = nothing + 0.3 * (first - nothing) + 2.0 * (second - nothing)
    close(logits(0.3, 2.0), mixed, 1e-4)
    # An edge that the last rows do not offer has no part in anything.
    moved = weights.copy()
    moved[end, :column] += 1.0
    for (got, _), (same, _) in zip(
        supernet(variables, {GRID: moved}, x), supernet(variables, {GRID: weights}, x), strict=True
    ):
        np.testing.assert_array_equal(got, same)


def test_active_paths_are_a_mixture_without_the_others(filled: Any, x: jax.Array) -> None:
    space = hypercuboid.space(**{**SETTINGS, "widths": 1, "layers": 1})
    values, labels = filled(space.init, SHAPE), jnp.arange(len(x)) % 3
    group = space.spec[GRID]
    rng, count = np.random.default_rng(0), len(OPS)
    weights = jnp.asarray(rng.random((group.edges, count)), jnp.float32)
    # On the edge to the end the operation that it offers, beside one that it does not.
    active = jnp.array([[2, 0], [1, 2], [0, 2]], jnp.int32)
    there = jax.nn.one_hot(active, count).sum(axis=1)

    def value(params: Any, weights: jax.Array, as_paths: bool) -> Any:
        mixed = Paths(weights, active) if as_paths else weights * there
        logits, stats = space.apply(values._replace(params=params), {GRID: mixed}, x, train=True)
        return cross_entropy(logits, labels), (logits, stats)

    gradient = jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True), static_argnums=2)
    (_, (got, stats)), mine = gradient(values.params, weights, True)
    (_, (expected, _)), theirs = gradient(values.params, weights, False)
    close(got, expected, 1e-4)
    for own, other in zip(jax.tree.leaves(mine), jax.tree.leaves(theirs), strict=True):
        np.testing.assert_allclose(own, other, rtol=1e-3, atol=1e-3 * float(np.abs(other).max()))
    assert jax.tree.structure(stats) == jax.tree.structure(values.stats)
    assert (np.asarray(mine[1])[np.asarray(there) == 0] == 0).all()
    # In evaluation too, what is not active counts for nothing.
    evaluate = jit(lambda mixed: space.apply(values, {GRID: mixed}, x, train=False)[0])
    close(evaluate(Paths(weights, active)), evaluate(weights * there))


def test_a_path_is_drawn_without_the_states_beside_it() -> None:
    genotype = hypercuboid.to_genotype(SHARP_PATH, Grid(2, 2))
    assert inputs_of(genotype) == 2
    svg = cell_svg(genotype[GRID], GRID, inputs_of(genotype))
    # States 2 and 4 lie on the path, 3 and 5 beside it.
    shown = [state for state in range(2, 11) if f">{state}</text>" in svg]
    assert shown == [2, 4, 7, 9, 10]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"ops": ("max_pool_3x3", "skip_connect")}, ["sharp_sep_conv_3x3"]),
        ({"ops": (END,)}, ["at least one other"]),
        ({"ops": (END, "none")}, ["unknown operation 'none'"]),
        ({"widths": 0}, ["widths", "at least 1"]),
        ({"layers": 0}, ["layers", "at least 1"]),
        ({"dtype": "float16"}, ["dtype", "float16"]),
    ],
)
def test_bad_settings_get_one_sentence(settings: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        hypercuboid.space(**{"classes": 3, **settings})
    assert all(word in str(error.value) for word in words), str(error.value)


def test_what_does_not_fit_the_space_is_refused(variables: Variables, x: jax.Array) -> None:
    with pytest.raises(UserError, match=r"8x6: 2 layers need .* multiples of 4"):
        SPACE.check((8, 6, 3))
    with pytest.raises(UserError, match="partial_channels=4"):
        SPACE.rebuild(partial_channels=4)
    assert SPACE.rebuild(partial_channels=1, channels=4).spec == SPACE.spec
    with pytest.raises(UserError, match="2 layers of 2 widths, got 4 of 4"):
        SPACE.inherit(hypercuboid.named("MAX_W"), variables)
    other = hypercuboid.to_genotype(hypercuboid.Path((0,) * 5, ("dil_conv_3x3",) * 4), Grid(2, 2))
    with pytest.raises(UserError, match="unknown operation of this supernet 'dil_conv_3x3'"):
        SPACE.inherit(other, variables)
    network = SPACE.build(other)
    own = jax.eval_shape(network.init, jax.random.key(0), x)
    with pytest.raises(UserError, match=r"retrain\.drop_path=0"):
        jax.eval_shape(lambda v, x: network.apply(v, x, train=True, drop_path=0.1), own, x)
    with pytest.raises(UserError, match=r"did you mean 'MAX_W'\?"):
        hypercuboid.named("MAXW")
