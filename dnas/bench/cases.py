"""From a point to the programs that are measured there: pure functions with the arguments they are called with.

In all of them batch norm uses the statistics of the batch, as in training. *Forward* returns logits and new running
statistics. *Forward and backward* adds the gradient of the mean cross entropy for the parameters; a supernet's
operation weights are constants there. *Step* is the whole step of a search, on one minibatch for the weights and one
for the architecture parameters, or for the derived network a step of training: with the auxiliary head and its loss, as
published, but without drop path, so that it can be compared with another program number by number.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.bench.points import (
    CLASSES,
    DERIVED,
    DERIVED_GENOTYPE,
    FORWARD,
    GRADIENT,
    IMAGE_CHANNELS,
    STEP,
    STEPS_PER_EPOCH,
    Point,
    module_of,
)
from dnas.genotype import Genotype
from dnas.losses import cross_entropy
from dnas.optimizers import clipped_sgd
from dnas.run import settings
from dnas.run.config import method_of
from dnas.train import Training, TrainState, supervised
from dnas.types import Array, Batch, Batches, Network, SearchSpace, SearchState, Stats, Variables, Weights

AUXILIARY_WEIGHT = 0.4
TRAINING: Mapping[str, Any] = {"learning_rate": 0.025, "momentum": 0.9, "weight_decay": 3e-4, "clip_norm": 5.0}
"""The published training of a derived network."""


class Program(NamedTuple):
    """A pure function and the arguments to call it with.

    Attributes:
        function: what is traced and compiled.
        arguments: arrays on the device.
        images: how many images go through the network in a call: those of both minibatches in a search step.
        chained: whether the first result is the next call's first argument, as the state of a step is.
        second_order: whether it differentiates a gradient.
    """

    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    images: int
    chained: bool = False
    second_order: bool = False


class Gradient(NamedTuple):
    """What the program of forward and backward returns."""

    loss: Array
    logits: Array
    stats: Stats
    grads: Any


class Case(NamedTuple):
    """The programs of a point, and what a version in another framework is built from.

    Attributes:
        point: what they are the programs of.
        programs: makes one, by part; that of a step makes its first state.
        variables: parameters and statistics that they start from.
        batches: the minibatches; forward and backward use the one for training.
        space: the space of a supernet, `None` for a derived network.
        weights: operation weights (edges, ops) of a supernet by group; empty for a derived network.
        genotype: the architecture of a derived network.
    """

    point: Point
    programs: Mapping[str, Callable[[], Program]]
    variables: Variables
    batches: Batches
    space: SearchSpace | None
    weights: Weights
    genotype: Genotype | None


def build(point: Point, seed: int = 0) -> Case:
    """Return the programs of `point`; weights and images are random, the same for the same seed.

    Raises:
        UserError: if the space refuses a setting; `check` refuses the size of images too.
    """
    rng = np.random.default_rng(seed)
    module = module_of(point.case)
    batches = Batches(_images(rng, point), _images(rng, point))
    values = settings.group(point.settings, point.prefix)
    if point.case == DERIVED:
        genotype = module.named(DERIVED_GENOTYPE)
        return _derived(point, module.build(genotype, classes=CLASSES, **values), genotype, batches, rng)
    return _supernet(point, module.space(classes=CLASSES, **values), batches, rng)


def check(point: Point) -> None:
    """Raise `UserError` if the space refuses a setting of `point` or the size of its images."""
    module = module_of(point.case)
    values = settings.group(point.settings, point.prefix)
    shape = (point.image, point.image, IMAGE_CHANNELS)
    if point.case == DERIVED:
        network = module.build(module.named(DERIVED_GENOTYPE), classes=CLASSES, **values)
        jax.eval_shape(network.init, jax.random.key(0), jax.ShapeDtypeStruct((1, *shape), jnp.float32))
    else:
        module.space(classes=CLASSES, **values).check(shape)


def _supernet(point: Point, space: SearchSpace, batches: Batches, rng: np.random.Generator) -> Case:
    variables = _variables(space.init, batches.train.x, rng)
    weights = {name: _simplex(rng, (group.edges, len(group.ops))) for name, group in space.spec.items()}

    def forward(variables: Variables, weights: Weights, x: Array) -> tuple[Array, Stats]:
        return space.apply(variables, weights, x, train=True)

    def gradient(variables: Variables, weights: Weights, batch: Batch) -> Gradient:
        def loss(params: Any) -> tuple[Array, tuple[Array, Stats]]:
            logits, stats = space.apply(Variables(params, variables.stats), weights, batch.x, train=True)
            return cross_entropy(logits, batch.y), (logits, stats)

        (value, (logits, stats)), grads = jax.value_and_grad(loss, has_aux=True)(variables.params)
        return Gradient(value, logits, stats, grads)

    factory = method_of(point.method)
    own = {**settings.group(point.settings, "search", only=factory), "steps_per_epoch": STEPS_PER_EPOCH}

    @jax.jit
    def start(variables: Variables) -> SearchState:
        # The space's own initialisation would compile the network once more.
        given = space._replace(init=lambda key, x: variables)
        return factory(given, **own).init(jax.random.key(0), batches.train.x)

    def step() -> Program:
        search = factory(space, **own)
        return Program(search.step, (start(variables), batches), 2 * point.batch, True, search.second_order)

    programs = {
        FORWARD: lambda: Program(forward, (variables, weights, batches.train.x), point.batch),
        GRADIENT: lambda: Program(gradient, (variables, weights, batches.train), point.batch),
        STEP: step,
    }
    return Case(point, programs, variables, batches, space, weights, None)


def _derived(point: Point, network: Network, genotype: Genotype, batches: Batches, rng: np.random.Generator) -> Case:
    variables = _variables(network.init, batches.train.x, rng)

    def forward(variables: Variables, x: Array) -> tuple[Array, Stats]:
        output, stats = network.apply(variables, x, train=True)
        return output.logits, stats

    def gradient(variables: Variables, batch: Batch) -> Gradient:
        def loss(params: Any) -> tuple[Array, tuple[Array, Stats]]:
            output, stats = network.apply(Variables(params, variables.stats), batch.x, train=True)
            value = cross_entropy(output.logits, batch.y)
            if output.auxiliary is not None:
                value = value + AUXILIARY_WEIGHT * cross_entropy(output.auxiliary, batch.y)
            return value, (output.logits, stats)

        (value, (logits, stats)), grads = jax.value_and_grad(loss, has_aux=True)(variables.params)
        return Gradient(value, logits, stats, grads)

    def training_of(network: Network) -> Training:
        return supervised(network, clipped_sgd(**TRAINING), auxiliary_weight=AUXILIARY_WEIGHT)

    @jax.jit
    def start(variables: Variables) -> TrainState:
        given = network._replace(init=lambda key, x: variables)
        return training_of(given).init(jax.random.key(0), batches.train.x)

    step = training_of(network).step
    programs = {
        FORWARD: lambda: Program(forward, (variables, batches.train.x), point.batch),
        GRADIENT: lambda: Program(gradient, (variables, batches.train), point.batch),
        STEP: lambda: Program(step, (start(variables), batches.train), point.batch, chained=True),
    }
    return Case(point, programs, variables, batches, None, {}, genotype)


def _images(rng: np.random.Generator, point: Point) -> Batch:
    shape = (point.batch, point.image, point.image, IMAGE_CHANNELS)
    x = rng.standard_normal(shape, np.float32)
    return Batch(jnp.asarray(x), jnp.asarray(rng.integers(0, CLASSES, point.batch, np.int32)))


def _simplex(rng: np.random.Generator, shape: tuple[int, int]) -> Array:
    return jax.nn.softmax(jnp.asarray(rng.standard_normal(shape, np.float32)), axis=-1)


def _variables(init: Callable[..., Variables], x: Array, rng: np.random.Generator) -> Variables:
    """Draw variables instead of compiling their initialiser.

    Kernels are uniform on ±1/sqrt(fan in), as at the start of training. Scales and biases are not at their start, so
    that one that another program puts in the wrong place is seen.
    """

    def draw(path: tuple[Any, ...], leaf: Any) -> Array:
        name = path[-1].key
        if name == "kernel":
            bound = float(np.prod(leaf.shape[_fan_axes(leaf.ndim)], dtype=int)) ** -0.5
            return jnp.asarray(rng.uniform(-bound, bound, leaf.shape), leaf.dtype)
        if name == "bias":
            return jnp.asarray(rng.normal(0.0, 0.1, leaf.shape), leaf.dtype)
        low, high = {"scale": (0.5, 1.5), "var": (1.0, 1.0)}.get(name, (0.0, 0.0))
        return jnp.asarray(rng.uniform(low, high, leaf.shape), leaf.dtype)

    return jax.tree_util.tree_map_with_path(draw, jax.eval_shape(init, jax.random.key(0), x))


def _fan_axes(ndim: int) -> slice:
    """Return the axes of a kernel that a sum runs over; a stack of kernels has one axis more in front."""
    return slice(0 if ndim in (2, 4) else 1, ndim - 1)
