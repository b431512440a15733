"""Both NAS-Bench-201 networks against the paper's description written out in float64 NumPy and SciPy."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.signal import correlate2d

from dnas.types import Variables
from search_spaces import nasbench201 as nb

SHAPE = (3, 8, 12, 2)
CHANNELS, CELLS, CLASSES = 3, 2, 4
EDGES = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]


def relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def convolve(x: np.ndarray, kernel: np.ndarray, stride: int = 1) -> np.ndarray:
    """Convolve with zeros around the image, and keep every `stride`-th pixel."""
    if kernel.ndim == 2:
        kernel = kernel[None, None]
    out = np.zeros((*x.shape[:3], kernel.shape[-1]))
    for n, i, o in np.ndindex(len(x), *kernel.shape[2:]):
        out[n, :, :, o] += correlate2d(x[n, :, :, i], kernel[:, :, i, o], "same")
    return out[:, ::stride, ::stride]


def pool(x: np.ndarray) -> np.ndarray:
    """3x3 mean over the pixels that lie within the image."""
    padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=np.nan)
    rows, columns = x.shape[1:3]
    return np.nanmean([padded[:, i : i + rows, j : j + columns] for i in range(3) for j in range(3)], axis=0)


class Reference:
    """The networks in NumPy; `train` says whether batch norm uses the batch's own statistics."""

    def __init__(self, variables: Variables, train: bool) -> None:
        self.variables = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables)
        self.train = train

    def leaf(self, collection: str, path: str, cell: int | None = None) -> Any:
        """Return a leaf of the parameters or statistics, one cell's where a stage's are stacked; `None` if missing."""
        tree: Any = getattr(self.variables, collection)
        for name in path.split("/"):
            tree = tree.get(name, {})
        return None if isinstance(tree, dict) else tree if cell is None else tree[cell]

    def norm(self, x: np.ndarray, path: str, cell: int | None = None) -> np.ndarray:
        mean, var = (self.leaf("stats", f"{path}/bn/{name}", cell) for name in ("mean", "var"))
        if self.train:
            mean, var = x.mean(axis=(0, 1, 2)), x.var(axis=(0, 1, 2))
        y = (x - mean) / np.sqrt(var + 1e-5)
        scale, bias = (self.leaf("params", f"{path}/bn/{name}", cell) for name in ("scale", "bias"))
        return y if scale is None else y * scale + bias

    def layer(self, x: np.ndarray, path: str, stride: int = 1, cell: int | None = None) -> np.ndarray:
        """ReLU, convolution, batch norm."""
        kernel = self.leaf("params", f"{path}/conv/kernel", cell)
        return self.norm(convolve(relu(x), kernel, stride), f"{path}/norm", cell)

    def cell(self, x: np.ndarray, stage: int, cell: int, weights: np.ndarray) -> np.ndarray:
        stacked = f"stage_{stage}" in self.variables.params
        path, pick = (f"stage_{stage}", cell) if stacked else (f"stage_{stage}_{cell}", None)
        states = [x, *(np.zeros_like(x) for _ in range(3))]
        for (target, source), row in zip(EDGES, weights, strict=True):
            for op, weight in zip(nb.OPS, row, strict=True):
                if op == "none" or weight == 0.0:
                    continue
                if op == "skip_connect":
                    value = states[source]
                elif op == "avg_pool_3x3":
                    value = pool(states[source])
                else:
                    value = self.layer(states[source], f"{path}/edge_{target}_{source}_{op}", cell=pick)
                states[target] = states[target] + weight * value
        return states[3]

    def residual(self, x: np.ndarray, path: str) -> np.ndarray:
        y = self.layer(self.layer(x, f"{path}/conv_0", stride=2), f"{path}/conv_1")
        n, height, width, channels = x.shape
        pooled = x.reshape(n, height // 2, 2, width // 2, 2, channels).mean(axis=(2, 4))
        return y + convolve(pooled, self.leaf("params", f"{path}/shortcut/kernel"))

    def logits(self, x: np.ndarray, weights: np.ndarray) -> np.ndarray:
        x = self.norm(convolve(np.asarray(x, np.float64), self.leaf("params", "stem/conv/kernel")), "stem/norm")
        for stage in range(3):
            if stage:
                x = self.residual(x, f"residual_{stage}")
            for cell in range(CELLS):
                x = self.cell(x, stage, cell, weights)
        pooled = relu(self.norm(x, "last_norm")).mean(axis=(1, 2))
        return pooled @ self.leaf("params", "head/dense/kernel") + self.leaf("params", "head/dense/bias")


def images() -> np.ndarray:
    return np.random.default_rng(5).normal(0.2, 1.0, SHAPE).astype(np.float32)


def close(got: Any, expected: np.ndarray) -> None:
    np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * float(np.abs(expected).max()))
    assert expected.std() > 1e-2


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize(
    "text",
    [
        "|nor_conv_3x3~0|+|nor_conv_1x1~0|avg_pool_3x3~1|+|skip_connect~0|nor_conv_3x3~1|none~2|",
        "|avg_pool_3x3~0|+|none~0|nor_conv_3x3~1|+|none~0|skip_connect~1|nor_conv_1x1~2|",
    ],
    ids=["first", "second"],
)
def test_derived_network(text: str, affine: bool, filled: Any) -> None:
    genotype = nb.from_string(text)
    network = nb.build(genotype, classes=CLASSES, channels=CHANNELS, cells=CELLS, affine=affine)
    variables = filled(network.init, SHAPE)
    ops = [op for node in text.split("+") for op in (word.split("~")[0] for word in node.strip("|").split("|"))]
    weights = np.array([[op == name for name in nb.OPS] for op in ops], np.float64)
    both = jax.jit(lambda v, x: [network.apply(v, x, train=train)[0].logits for train in (True, False)])
    for train, got in zip((True, False), both(variables, images()), strict=True):
        close(got, Reference(variables, train).logits(images(), weights))


def test_supernet(filled: Any) -> None:
    space = nb.space(classes=CLASSES, channels=CHANNELS, cells=CELLS)
    variables = filled(space.init, SHAPE)
    both = jax.jit(lambda v, w, x: [space.apply(v, {"cell": w}, x, train=train)[0] for train in (True, False)])
    rng = np.random.default_rng(0)
    # A mixture as of a softmax, then any numbers.
    for weights in (rng.dirichlet(np.ones(5), 6), rng.normal(size=(6, 5))):
        for train, got in zip((True, False), both(variables, jnp.asarray(weights), images()), strict=True):
            close(got, Reference(variables, train).logits(images(), weights))
