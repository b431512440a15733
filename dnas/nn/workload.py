"""Counting a network's parameters and multiply-adds from shapes, without running it."""

import math
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from dnas.nn.conv import Conv
from dnas.nn.depthwise import DepthwiseConv
from dnas.nn.pointwise import Pointwise
from dnas.types import Workload


def workload(module: nn.Module, shape: tuple[int, ...]) -> Workload:
    """Count `module`, called as `module(x, train=False)`, for an input of `shape` (H, W, C) and batch 1.

    Multiply-adds are those of convolutions and dense layers, as the literature counts them; batch norm, pools and
    additions are not counted. Evaluation mode, so an auxiliary head is not part of either number.
    """
    macs = 0

    def count(call: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: nn.module.InterceptorContext) -> Any:
        nonlocal macs
        output = call(*args, **kwargs)
        layer = context.module
        if isinstance(layer, nn.Dense):
            macs += math.prod(output.shape) * args[0].shape[-1]
        elif isinstance(layer, nn.Conv):
            groups = layer.feature_group_count
            window = math.prod(layer.kernel_size if not isinstance(layer.kernel_size, int) else (layer.kernel_size,))
            macs += math.prod(output.shape) * window * args[0].shape[-1] // groups
        elif isinstance(layer, Conv):
            macs += math.prod(output.shape) * math.prod(layer.size) * args[0].shape[-1]
        elif isinstance(layer, Pointwise):
            macs += math.prod(output.shape) * args[0].shape[-1]
        elif isinstance(layer, DepthwiseConv):
            macs += math.prod(output.shape) * layer.size**2
        return output

    with nn.intercept_methods(count):
        example = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        variables = jax.eval_shape(lambda x: module.init(jax.random.key(0), x, train=False), example)
    return Workload(sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables.get("params", {}))), macs)
