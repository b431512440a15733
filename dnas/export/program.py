"""A trained network as the program that is exported: plain operations, with batch norm folded by option.

Our layers have derivatives and a CPU form of their own, of which a deployed network needs nothing and other tools
understand little. While a network's `apply` is traced, its Flax modules are replaced by the plain form of what they
compute: a convolution, a window reduction, a factor and a summand.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from dnas.export.folding import Affine, Norm, affine, fold
from dnas.export.plain import LINEAR, avg_pool_3x3, linear, max_pool_3x3
from dnas.nn.norm import EPSILON, BatchNorm
from dnas.nn.operations import FactorizedReduce, Pool
from dnas.nn.pointwise import Pointwise
from dnas.types import Array, Network, Output, Variables

Preprocess = Callable[[Array], Array]
"""`(inputs) -> what the network takes`."""


class Layer(NamedTuple):
    """A layer with parameters, as the exported program computes it.

    Attributes:
        path: where it stands in the network.
        variables: its arrays by name: `kernel` and perhaps `bias`, or a batch norm's `mean`, `var` and perhaps `scale`
            and `bias`.
        norm: path of the batch norm that was folded into it; empty where there is none.
    """

    path: str
    variables: Mapping[str, np.ndarray]
    norm: str = ""

    @property
    def is_norm(self) -> bool:
        """Whether it is a batch norm that was left as it is."""
        return "mean" in self.variables


class Program(NamedTuple):
    """What is exported.

    Attributes:
        call: `(inputs) -> outputs`, with the weights inside; pure, for `jax.jit`.
        layers: `(inputs) -> layers` in the order in which `call` computes them; inputs may be shapes.
    """

    call: Callable[[Array], Array]
    layers: Callable[[Any], tuple[Layer, ...]]


def program(
    network: Network, variables: Variables, *, folded: bool = True, preprocess: Preprocess | None = None
) -> Program:
    """Return a network in evaluation as a program.

    Batch norm is folded where its input is the very output of a convolution or dense layer, or the concatenation in a
    `FactorizedReduce`; elsewhere (after pools and sums) it is left as it is. A network that is made of no Flax modules
    is exported as its `apply` traces.

    Args:
        network: what is exported; its outputs are `Output.logits`, or one array.
        variables: its weights and running statistics.
        folded: whether batch norm is folded.
        preprocess: what is done to inputs before the network sees them; `None` for nothing.
    """
    concrete = jax.tree.map(np.asarray, variables)

    def traced(x: Array, found: list[Layer]) -> Array:
        with nn.intercept_methods(_Plain(folded, found)):
            output = network.apply(concrete, x if preprocess is None else preprocess(x), train=False)[0]
        return output.logits if isinstance(output, Output) else output

    def layers(example: Any) -> tuple[Layer, ...]:
        found: list[Layer] = []
        jax.eval_shape(partial(traced, found=found), example)
        # One that is folded was met before its batch norm was known.
        last = {layer.path: layer for layer in found}
        return tuple(last.values())

    return Program(lambda x: traced(x, []), layers)


class _Plain:
    """An interceptor of Flax methods that computes the plain form, and notes the layers with parameters."""

    def __init__(self, folded: bool, found: list[Layer]) -> None:
        self.folded, self.found, self.inside = folded, found, False
        # Outputs of linear layers, which are kept so that no other array gets their identity.
        self.linear: dict[int, tuple[Array, nn.Module, Array, Mapping[str, Any]]] = {}

    def __call__(self, method: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
        plain = None if self.inside else self.form(context.module, context.method_name, args, kwargs)
        return method(*args, **kwargs) if plain is None else plain()

    def form(
        self, module: nn.Module, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Callable[[], Array] | None:
        """Return the plain form of a call; `None` where the call is left as it is."""
        if isinstance(module, Pool) and method == "pooled":
            pool = max_pool_3x3 if module.kind == "max" else avg_pool_3x3
            return lambda: pool(args[0], module.stride)
        if method != "__call__":
            return None
        alone = all(arg is None for arg in (*args[1:], *kwargs.values()))
        if isinstance(module, LINEAR) and alone and _plain(module):
            return lambda: self.layer(module, args[0], dict(module.variables["params"]))
        if isinstance(module, BatchNorm | nn.BatchNorm) and _evaluates(module, args[1:], kwargs):
            return lambda: self.norm(module, args[0])
        if isinstance(module, FactorizedReduce):
            return lambda: self.reduction(module, args[0])
        return None

    def layer(self, module: nn.Module, x: Array, params: Mapping[str, Any], norm: str = "") -> Array:
        """Compute a linear layer with these parameters."""
        self.inside = True
        y = linear(module, x, params)
        self.inside = False
        self.found.append(Layer(_path(module), {name: np.asarray(value) for name, value in params.items()}, norm))
        self.linear[id(y)] = (y, module, x, params)
        return y

    def norm(self, module: BatchNorm | nn.BatchNorm, x: Array) -> Array:
        """Normalise, in the layer that computed `x` if it is known."""
        own = _norm(module)
        if self.folded and id(x) in self.linear:
            _, layer, before, params = self.linear[id(x)]
            kernel, bias = fold(params["kernel"], params.get("bias"), affine(own))
            return self.layer(layer, before, {"kernel": kernel, "bias": bias}, _path(module))
        y = self.affine(_path(module), own, x)
        return y.astype(module.dtype or y.dtype)

    def reduction(self, module: FactorizedReduce, x: Array) -> Array:
        """Compute the two convolutions whose concatenation is normalised, each with its part of the batch norm.

        Pixels are sliced, where indexing with a step would gather them, since the batch size is unknown.
        """
        params, path = module.variables["params"], _path(module)
        stats, affinity = module.variables["batch_stats"]["norm"]["bn"], params.get("norm", {}).get("bn", {})
        norm = Norm(stats["mean"], stats["var"], affinity.get("scale"), affinity.get("bias"), EPSILON)
        whole, x, begin, outputs = affine(norm), nn.relu(x), 0, []
        for index, name in enumerate(("first", "second")):
            held, folded = {"kernel": np.asarray(params[name]["kernel"])}, ""
            if self.folded:
                part = slice(begin, begin + held["kernel"].shape[-1])
                kernel, bias = fold(held["kernel"], None, Affine(whole.factor[part], whole.summand[part]))
                held, folded, begin = {"kernel": kernel, "bias": bias}, f"{path}/norm/bn", part.stop
            self.found.append(Layer(f"{path}/{name}", held, folded))
            pixels = lax.slice(x, (0, index, index, 0), x.shape, (1, 2, 2, 1))
            outputs.append(linear(Pointwise(0, module.dtype), pixels, held))
        y = jnp.concatenate(outputs, axis=-1)
        return y if self.folded else self.affine(f"{path}/norm/bn", norm, y)

    def affine(self, path: str, norm: Norm, x: Array) -> Array:
        """Compute a batch norm that is left as it is."""
        arrays = {"mean": norm.mean, "var": norm.variance, "scale": norm.scale, "bias": norm.bias}
        self.found.append(Layer(path, {name: np.asarray(held) for name, held in arrays.items() if held is not None}))
        factor, summand = affine(norm)
        return x * factor.astype(x.dtype) + summand.astype(x.dtype)


def _path(module: nn.Module) -> str:
    return "/".join(module.path)


def _plain(module: nn.Module) -> bool:
    """Whether a layer has a kernel and nothing unusual, and its arrays are known while it is traced."""
    params = module.variables.get("params", {})
    known = not any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(params))
    return known and "kernel" in params and set(params) <= {"kernel", "bias"}


def _evaluates(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a batch norm goes by known running statistics of the last axis, and has no mask."""
    stats = module.variables.get("batch_stats", {})
    if not {"mean", "var"} <= set(stats) or any(isinstance(leaf, jax.core.Tracer) for leaf in stats.values()):
        return False
    if isinstance(module, BatchNorm):
        return not (args[0] if args else kwargs.get("train"))
    assert isinstance(module, nn.BatchNorm)
    running = args[0] if args else kwargs.get("use_running_average", module.use_running_average)
    return bool(running) and kwargs.get("mask") is None and module.axis in (-1, (-1,)) and len(args) < 2


def _norm(module: nn.Module) -> Norm:
    stats, params = module.variables["batch_stats"], module.variables.get("params", {})
    epsilon = module.epsilon if isinstance(module, nn.BatchNorm) else EPSILON
    return Norm(stats["mean"], stats["var"], params.get("scale"), params.get("bias"), epsilon)
