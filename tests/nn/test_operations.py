"""Every candidate operation against layers written out in float64 NumPy and SciPy, in training and in evaluation."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate2d

from dnas.nn.operations import FactorizedReduce, Norm, ReLUConvBN, names, operation

CHANNELS = 4
IMAGE = (6, 8)
SEARCHED = {"affine": False, "pool_norm": True}
RETRAINED = {"affine": True, "pool_norm": False}


class Reference:
    """The layers in NumPy; batch norm notes the running statistics that it leaves behind.

    Args:
        variables: a Linen tree of `params` and `batch_stats`.
        train: whether batch norm uses the batch's own statistics.
    """

    def __init__(self, variables: Mapping[str, Any], train: bool) -> None:
        self.variables, self.train = variables, train
        self.running: dict[str, dict[str, np.ndarray]] = {}

    def _leaf(self, collection: str, *path: str) -> np.ndarray | None:
        tree: Any = self.variables.get(collection, {})
        for name in path:
            tree = tree.get(name, {})
        return np.asarray(tree, np.float64) if not isinstance(tree, dict) else None

    def kernel(self, *path: str) -> np.ndarray:
        kernel = self._leaf("params", *path, "kernel")
        assert kernel is not None
        assert self._leaf("params", *path, "bias") is None
        return kernel

    def pointwise(self, x: np.ndarray, *path: str) -> np.ndarray:
        return np.einsum("nhwi,io->nhwo", x, self.kernel(*path))

    def depthwise(self, x: np.ndarray, name: str, stride: int, dilation: int = 1) -> np.ndarray:
        kernel = self.kernel(name)[:, :, 0]
        reach = dilation * (len(kernel) - 1) + 1
        spread = np.zeros((reach, reach, x.shape[-1]))
        spread[::dilation, ::dilation] = kernel
        out = [[correlate2d(plane, spread[..., c], "same") for c, plane in enumerate(np.moveaxis(i, -1, 0))] for i in x]
        return np.moveaxis(np.array(out), 1, -1)[:, ::stride, ::stride]

    def convolution(self, x: np.ndarray, name: str, strides: tuple[int, int]) -> np.ndarray:
        kernel = self.kernel(name)
        out = np.zeros((*x.shape[:3], kernel.shape[-1]))
        for n, i, o in np.ndindex(x.shape[0], *kernel.shape[2:]):
            out[n, :, :, o] += correlate2d(x[n, :, :, i], kernel[:, :, i, o], "same")
        return out[:, :: strides[0], :: strides[1]]

    def norm(self, x: np.ndarray, *path: str) -> np.ndarray:
        path = (*path, "bn")
        old = {name: self._leaf("batch_stats", *path, name) for name in ("mean", "var")}
        # The batch's variance is the biased one.
        now = {"mean": x.mean(axis=(0, 1, 2)), "var": x.var(axis=(0, 1, 2))}
        self.running["/".join(path)] = {name: 0.9 * old[name] + 0.1 * now[name] for name in old}
        used = now if self.train else old
        y = (x - used["mean"]) / np.sqrt(used["var"] + 1e-5)
        scale, bias = self._leaf("params", *path, "scale"), self._leaf("params", *path, "bias")
        assert (scale is None) == (bias is None)
        return y if scale is None else y * scale + bias

    def optional_norm(self, x: np.ndarray, name: str) -> np.ndarray:
        return self.norm(x, name) if name in self.variables.get("batch_stats", {}) else x

    def reduce(self, x: np.ndarray, *path: str) -> np.ndarray:
        x = relu(x)
        halves = [
            self.pointwise(x[:, ::2, ::2], *path, "first"),
            # The second half sees the pixels one row down and one column right.
            self.pointwise(x[:, 1:, 1:][:, ::2, ::2], *path, "second"),
        ]
        return self.norm(np.concatenate(halves, axis=-1), *path, "norm")

    def separable(self, x: np.ndarray, stride: int, dilation: int = 1) -> np.ndarray:
        for half, own, apart in (("0", stride, dilation), ("1", 1, 1)):
            x = self.pointwise(self.depthwise(relu(x), f"depthwise_{half}", own, apart), f"pointwise_{half}")
            x = self.norm(x, f"norm_{half}")
        return x

    def dilated(self, x: np.ndarray, stride: int) -> np.ndarray:
        return self.norm(self.pointwise(self.depthwise(relu(x), "depthwise", stride, 2), "pointwise"), "norm")

    def normal(self, x: np.ndarray, stride: int) -> np.ndarray:
        if self.kernel("conv").ndim == 2:
            x = self.pointwise(relu(x)[:, ::stride, ::stride], "conv")
        else:
            x = self.convolution(relu(x), "conv", (stride, stride))
        return self.norm(x, "norm")

    def factorized(self, x: np.ndarray, stride: int) -> np.ndarray:
        x = self.convolution(relu(x), "horizontal", (1, stride))
        return self.norm(self.convolution(x, "vertical", (stride, 1)), "norm")


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def pool(x: np.ndarray, stride: int, function: Callable[..., np.ndarray]) -> np.ndarray:
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=np.nan)
    shifted = [padded[:, i : i + x.shape[1], j : j + x.shape[2]] for i in range(3) for j in range(3)]
    return function(np.stack(shifted), axis=0)[:, ::stride, ::stride]


SEPARABLE = (("sep_conv", 3), ("sep_conv", 5), ("sep_conv", 7), ("flood_conv", 3), ("flood_conv", 5))
DILATED = ("conv_3x3", "conv_5x5", "flood_conv_3x3", "flood_conv_5x5", "choke_conv_3x3")
REFERENCES: dict[str, Callable[[Reference, np.ndarray, int], np.ndarray]] = {
    "none": lambda layers, x, stride: np.zeros_like(x[:, ::stride, ::stride]),
    "max_pool_3x3": lambda layers, x, stride: layers.optional_norm(pool(x, stride, np.nanmax), "norm"),
    "avg_pool_3x3": lambda layers, x, stride: layers.optional_norm(pool(x, stride, np.nanmean), "norm"),
    "skip_connect": lambda layers, x, stride: x if stride == 1 else layers.reduce(x, "reduce"),
    "sep_conv_3x3": Reference.separable,
    "sep_conv_5x5": Reference.separable,
    "sep_conv_7x7": Reference.separable,
    "dil_conv_3x3": Reference.dilated,
    "dil_conv_5x5": Reference.dilated,
    "conv_7x1_1x7": Reference.factorized,
    "nor_conv_1x1": Reference.normal,
    "nor_conv_3x3": Reference.normal,
    **{f"sharp_{kind}_{size}x{size}": Reference.separable for kind, size in (*SEPARABLE, ("choke_conv", 3))},
    **{f"sharp_dil_{kind}": partial(Reference.separable, dilation=2) for kind in DILATED},
}


def randomised(tree: Any, rng: np.random.Generator) -> Any:
    """Replace every leaf by random numbers, those of a variance or scale above zero."""

    def draw(path: tuple[Any, ...], leaf: Any) -> np.ndarray:
        positive = path[-1].key in ("var", "scale")
        return (rng.uniform(0.5, 2.0, leaf.shape) if positive else rng.normal(size=leaf.shape)).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, tree)


def image(channels: int = CHANNELS, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1.0, (3, *IMAGE, channels)).astype(np.float32)


def check(module: Any, x: np.ndarray, reference: Callable[[Reference, np.ndarray], np.ndarray]) -> Mapping[str, Any]:
    """Compare outputs in both modes and the new running statistics; return the variables."""
    shapes = jax.eval_shape(lambda: module.init(jax.random.key(0), x, True))
    variables = randomised(dict(shapes), np.random.default_rng(7))
    output, updated = jax.jit(lambda v, x: module.apply(v, x, True, mutable=["batch_stats"]))(variables, x)
    layers = Reference(variables, train=True)
    np.testing.assert_allclose(output, reference(layers, x.astype(np.float64)), rtol=1e-4, atol=1e-4)
    flat = {
        "/".join(entry.key for entry in path): leaf
        for path, leaf in jax.tree_util.tree_leaves_with_path(updated.get("batch_stats", {}))
    }
    expected = {f"{path}/{name}": leaf for path, own in layers.running.items() for name, leaf in own.items()}
    assert flat.keys() == expected.keys()
    for path, leaf in flat.items():
        np.testing.assert_allclose(leaf, expected[path], rtol=1e-4, atol=1e-5, err_msg=path)

    output = jax.jit(lambda v, x: module.apply(v, x, False))(variables, x)
    layers = Reference(variables, train=False)
    np.testing.assert_allclose(output, reference(layers, x.astype(np.float64)), rtol=1e-4, atol=1e-4)
    return variables


def test_every_operation_has_a_reference() -> None:
    # What is random is held to laws of its own, where its space is tested.
    assert {*REFERENCES, "noise"} == set(names())


@pytest.mark.parametrize("settings", [SEARCHED, RETRAINED], ids=["searched", "retrained"])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("name", REFERENCES)
def test_operation(name: str, stride: int, settings: dict[str, bool]) -> None:
    module = operation(name)(CHANNELS, stride, **settings)
    variables = check(module, image(), lambda layers, x: REFERENCES[name](layers, x, stride))
    leaves = {path[-1].key for path, _ in jax.tree_util.tree_leaves_with_path(variables.get("params", {}))}
    assert (
        "kernel" in leaves
        or name in ("none", "max_pool_3x3", "avg_pool_3x3")
        or (name, stride)
        == (
            "skip_connect",
            1,
        )
    )
    assert ("scale" in leaves) == (settings["affine"] and "kernel" in leaves)
    if "pool" in name:
        assert ("batch_stats" in variables) == settings["pool_norm"]


@pytest.mark.parametrize("affine", [False, True])
def test_preprocessing(affine: bool) -> None:
    check(
        ReLUConvBN(CHANNELS, affine=affine),
        image(6),
        lambda layers, x: layers.norm(layers.pointwise(relu(x), "pointwise"), "norm"),
    )
    for channels in (CHANNELS, CHANNELS + 1):
        check(FactorizedReduce(channels, affine=affine), image(6), lambda layers, x: layers.reduce(x))


def test_factorized_reduce_halves_look_one_pixel_apart() -> None:
    module = FactorizedReduce(2, affine=False)
    variables = {
        "params": {"first": {"kernel": np.ones((1, 1))}, "second": {"kernel": np.ones((1, 1))}},
        "batch_stats": {"norm": {"bn": {"mean": np.zeros(2), "var": np.full(2, 1 - 1e-5)}}},
    }
    x = np.zeros((1, 4, 4, 1), np.float32)
    x[0, 2, 0], x[0, 1, 3], x[0, 0, 1], x[0, 3, 2] = 5.0, 7.0, 11.0, 13.0
    got = np.asarray(module.apply(variables, x, False))[0]
    np.testing.assert_allclose(got[..., 0], [[0, 0], [5, 0]], rtol=1e-5)
    np.testing.assert_allclose(got[..., 1], [[0, 7], [0, 0]], rtol=1e-5)


@pytest.mark.parametrize("size", [(5, 4), (4, 5), (3, 3)])
def test_factorized_reduce_refuses_odd_sizes(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=f"even height and width, got {size[0]}x{size[1]}"):
        jax.eval_shape(lambda x: FactorizedReduce(4).init(jax.random.key(0), x, False), jnp.zeros((1, *size, 4)))


@pytest.mark.parametrize(
    "name",
    [
        "sep_conv_3x3",
        "sep_conv_5x5",
        "dil_conv_3x3",
        "conv_7x1_1x7",
        "nor_conv_1x1",
        "nor_conv_3x3",
        "skip_connect",
    ],
)
def test_weights_start_uniform_within_the_inverse_root_of_fan_in(name: str) -> None:
    channels = 32
    params = operation(name)(channels, 2).init(jax.random.key(0), jnp.zeros((1, 4, 4, channels)), False)["params"]
    kernels = [leaf for path, leaf in jax.tree_util.tree_leaves_with_path(params) if path[-1].key == "kernel"]
    assert kernels
    for kernel in kernels:
        fan_in = int(np.prod(kernel.shape[:-1]))
        bound = fan_in**-0.5
        magnitude = np.abs(kernel)
        assert magnitude.max() <= bound
        assert magnitude.max() > 0.95 * bound
        # A uniform distribution's standard deviation, within five standard errors of the sample's.
        assert np.std(kernel) == pytest.approx(bound / 3**0.5, rel=5 * (0.2 / kernel.size) ** 0.5)
        assert abs(np.mean(kernel)) < 5 * bound / (3 * kernel.size) ** 0.5


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("stride", [1, 2])
def test_bfloat16_computes_in_bfloat16_and_keeps_float32_variables(name: str, stride: int) -> None:
    module = operation(name)(CHANNELS, stride, pool_norm=True, dtype=jnp.bfloat16)
    x = jnp.zeros((2, *IMAGE, CHANNELS), jnp.bfloat16)
    output, variables = jax.eval_shape(lambda: module.init_with_output(jax.random.key(0), x, True))
    assert (output.shape, output.dtype) == ((2, IMAGE[0] // stride, IMAGE[1] // stride, CHANNELS), jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(variables)} <= {jnp.dtype(jnp.float32)}


def test_norm_statistics_are_float32_whatever_the_input() -> None:
    # In bfloat16 a sum over this many equal numbers would stall far below their mean.
    x = jnp.full((64, 8, 8, 1), 1.0078125, jnp.bfloat16)
    module = Norm(affine=False, dtype=jnp.bfloat16)
    variables = module.init(jax.random.key(0), x, False)
    _, updated = module.apply(variables, x, True, mutable=["batch_stats"])
    np.testing.assert_allclose(updated["batch_stats"]["bn"]["mean"], 0.1 * 1.0078125, rtol=1e-6)


@pytest.mark.parametrize(
    "name", ["sep_conv_9x9", "dil_conv_7x7", "nor_conv_5x5", "nor_conv_1x3", "sep_conv_3x5", "conv", "", "None"]
)
def test_unknown_operation(name: str) -> None:
    with pytest.raises(KeyError):
        operation(name)
