"""Batch norm folded into the layer before it is the same function, whatever the layer, and nothing else is changed."""

from collections.abc import Callable

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.export.folding import Norm, affine, fold
from dnas.export.program import program
from dnas.nn.functions import network
from dnas.types import Output

RNG = np.random.default_rng(0)
SHAPES = {"dense": (3, 4), "full": (3, 5, 3, 4), "depthwise": (5, 5, 1, 4), "grouped": (3, 3, 2, 4)}


def drawn_norm(affinity: bool, epsilon: float) -> Norm:
    mean, scale, bias = RNG.standard_normal((3, 4))
    return Norm(mean, RNG.uniform(0.1, 2, 4), scale if affinity else None, bias if affinity else None, epsilon)


def normalised(y: np.ndarray, norm: Norm) -> np.ndarray:
    y = (y - norm.mean) / np.sqrt(norm.variance + norm.epsilon)
    return y if norm.scale is None else y * norm.scale + norm.bias


@pytest.mark.parametrize("kind", SHAPES)
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize(("affinity", "epsilon"), [(True, 1e-5), (False, 1e-5), (True, 1e-3)])
def test_folding_is_exact_in_float64(kind: str, biased: bool, affinity: bool, epsilon: float) -> None:
    kernel, norm = RNG.standard_normal(SHAPES[kind]), drawn_norm(affinity, epsilon)
    bias = RNG.standard_normal(4) if biased else None
    patches = RNG.standard_normal((7, *kernel.shape[:-1]))

    def layer(kernel: np.ndarray, bias: np.ndarray | None) -> np.ndarray:
        y = np.tensordot(patches, kernel, kernel.ndim - 1)
        return y if bias is None else y + bias

    found = layer(*fold(kernel, bias, affine(norm)))
    np.testing.assert_allclose(found, normalised(layer(kernel, bias), norm), rtol=1e-12, atol=1e-12)


def test_folding_keeps_the_type_of_the_kernel() -> None:
    kernel, bias = fold(np.ones((1, 1, 4, 4), np.float32), None, affine(drawn_norm(True, 1e-5)))
    assert (kernel.dtype, bias.dtype) == (np.float32, np.float32)


class Own(nn.Module):
    """A user's own network: Flax layers that are folded, and some that must not be."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool, drop_path: float = 0.0) -> Output:
        def norm(name: str, epsilon: float = 1e-3) -> nn.BatchNorm:
            return nn.BatchNorm(use_running_average=not train, epsilon=epsilon, name=name)

        x = norm("after_conv")(nn.Conv(4, (3, 3), strides=2, padding="SAME", name="conv")(x))
        x = norm("after_groups", 1e-5)(nn.Conv(4, (3, 3), feature_group_count=2, use_bias=False, name="groups")(x))
        both = nn.Conv(4, (1, 1), name="used_twice")(x)
        x = norm("one_use")(both) + both
        shared = nn.Conv(4, (3, 3), name="called_twice")
        x = norm("first_call")(shared(x)) - norm("second_call")(shared(nn.relu(x)))
        x = norm("after_sum")(x + 1)
        x = norm("after_relu")(nn.relu(nn.Conv(4, (3, 3), name="then_relu")(x)))
        x = nn.max_pool(x, (3, 3), (2, 2), ((1, 1), (1, 1))) + nn.avg_pool(x, (3, 3), (2, 2), "SAME")
        x = norm("after_dense")(nn.Dense(5, name="dense")(x.mean((1, 2))))
        return Output(x)


@pytest.mark.parametrize("folded", [True, False])
def test_a_users_network_is_the_same_function(folded: bool, inputs: np.ndarray, shaken: Callable) -> None:
    own = network(Own(), lambda shape: None)
    variables = shaken(own.init(jax.random.key(0), jnp.asarray(inputs)))
    found = program(own, variables, folded=folded)
    expected = own.apply(variables, jnp.asarray(inputs), train=False)[0].logits
    np.testing.assert_allclose(jax.jit(found.call)(inputs), expected, atol=1e-5)
    layers = found.layers(inputs)
    alone = {layer.path for layer in layers if layer.is_norm}
    if folded:
        assert alone == {"after_sum", "after_relu"}
        assert {layer.norm for layer in layers if layer.norm} >= {
            "after_conv",
            "after_groups",
            "one_use",
            "after_dense",
        }
    else:
        assert len(alone) == 8
        assert not any(layer.norm for layer in layers)


def test_batch_norm_by_the_batch_is_never_folded(inputs: np.ndarray) -> None:
    class ByBatch(nn.Module):
        @nn.compact
        def __call__(self, x: jax.Array, train: bool, drop_path: float = 0.0) -> Output:
            return Output(nn.BatchNorm(use_running_average=False)(nn.Conv(2, (1, 1))(x)).mean((1, 2)))

    own = network(ByBatch(), lambda shape: None)
    variables = own.init(jax.random.key(0), jnp.asarray(inputs))
    found = program(own._replace(apply=lambda v, x, train: (_by_batch(ByBatch(), v, x), v.stats)), variables)
    np.testing.assert_allclose(
        found.call(jnp.asarray(inputs)), _by_batch(ByBatch(), variables, inputs).logits, atol=1e-6
    )
    assert not any(layer.norm or layer.is_norm for layer in found.layers(inputs))


def _by_batch(module: nn.Module, variables: object, x: np.ndarray) -> Output:
    tree = {"params": variables.params, "batch_stats": variables.stats}  # type: ignore[attr-defined]
    return module.apply(tree, x, train=False, mutable=["batch_stats"])[0]
