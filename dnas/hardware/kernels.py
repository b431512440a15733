"""The kernels that a deployed network runs, found from its traced program in evaluation mode.

A kernel is what a runtime for inference starts once and what reads its operands from memory and writes its result
there. Counted as one kernel each are

- a convolution (full, depthwise, dilated, strided) and a matrix product,
- a pool: a reduction over windows or pixels, or a sum or maximum of several shifted views of one array,
- element-by-element arithmetic that joins two arrays that both depend on the input, such as the addition of two edges;
  a sum of k terms is k - 1 kernels, since the addition of runtimes is binary,
- a concatenation.

Nothing else is: batch norm in evaluation is a scale and a shift of each channel, which a deployed network has folded
into the convolution before it; ReLU and all other arithmetic on a single array is part of the kernel that wrote the
array or of the one that reads it; slicing, padding and reshaping only say what a kernel reads. An addition is not fused
into a convolution, as some runtimes can, and a concatenation is copied. Operations on a state that is always zero, or
whose result nothing reads, count like others: this is the network as it is written.

What each kernel costs depends on its shapes alone, so that the kernels of a network are those of its edges and of what
joins them. Where nodes keep a fixed number of edges, the kernels are a sum over edges, and costs made from them are
additive; where edges may hold `none` (NAS-Bench-201), a node of k other edges has max(k - 1, 0) additions, and they are
not.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from jax.extend import core

from dnas.errors import UserError
from dnas.hardware.tracing import traced
from dnas.macs import convolution, inner, product
from dnas.types import Network

VIEWS = frozenset(("slice", "gather", "dynamic_slice", "pad", "rev"))
SHAPES = frozenset(
    (
        "reshape",
        "transpose",
        "squeeze",
        "expand_dims",
        "broadcast_in_dim",
        "convert_element_type",
        "copy",
        "reduce_precision",
    )
)
CALLS = frozenset(("jit", "pjit", "closed_call", "custom_jvp_call", "checkpoint", "remat2"))
KINDS: Mapping[str, str] = {"conv_general_dilated": "conv", "dot_general": "product", "concatenate": "concat"}
MACS: Mapping[str, Callable[[Any], int]] = {"conv_general_dilated": convolution, "dot_general": product}
REDUCTIONS = ("reduce", "arg", "cum", "sort")
"""How the names of primitives begin that make few elements of many."""
LOOPS = frozenset(("scan", "while"))
STENCIL: tuple[Any, ...] = ("several views",)


class Kernel(NamedTuple):
    """One kernel; sizes in elements, all images of the batch together.

    Attributes:
        kind: `conv`, `product`, `pool`, `join` or `concat`.
        macs: multiply-adds; 0 except for convolutions and products.
        read: elements of activations that are read.
        weights: elements of the kernel that are read; biases, those of folded batch norm too, are left out.
        written: elements that are written.
        sources: numbers of the buffers that are read.
        target: number of the buffer that is written.
    """

    kind: str
    macs: int
    read: int
    weights: int
    written: int
    sources: tuple[int, ...]
    target: int

    @property
    def moved(self) -> int:
        """Elements that go from and to memory."""
        return self.read + self.weights + self.written


class Program(NamedTuple):
    """The kernels of a network in the order in which it is written.

    Attributes:
        kernels: the kernels.
        sizes: elements of each buffer of activations; buffer 0 holds the images.
        outputs: the buffers that hold what the network returns.
    """

    kernels: tuple[Kernel, ...]
    sizes: tuple[int, ...]
    outputs: tuple[int, ...]

    def peak(self) -> int:
        """Return the greatest number of elements of activations that must be in memory at once.

        A buffer is there from the kernel that writes it (the images from the first kernel, other constants from the
        first that reads them) to the last one that reads it, outputs to the end. Kernels run in the order in which the
        network is written, and none writes over what it reads: a chain needs the greatest sum of a layer's input and
        output, and a residual block beside that its own input until it is added.
        """
        first = {0: 0}
        last = {0: 0}
        for step, kernel in enumerate(self.kernels):
            for buffer in (*kernel.sources, kernel.target):
                first.setdefault(buffer, step)
                last[buffer] = step
        for buffer in self.outputs:
            first.setdefault(buffer, 0)
            last[buffer] = max(len(self.kernels) - 1, 0)
        change = [0] * (len(self.kernels) + 2)
        for buffer, step in first.items():
            change[step] += self.sizes[buffer]
            change[last[buffer] + 1] -= self.sizes[buffer]
        peak = present = 0
        for difference in change:
            present += difference
            peak = max(peak, present)
        return peak


def program(network: Network, shape: tuple[int, ...], batch_size: int = 1) -> Program:
    """Return the kernels of a network in evaluation mode; nothing is computed but shapes.

    Args:
        network: the network.
        shape: (H, W, C) of an image.
        batch_size: images that go through it at once.

    Raises:
        UserError: if the network loops over its input.
    """
    whole = traced(network, shape, batch_size)
    walk = _Walk()
    images = walk.value(batch_size * math.prod(shape))
    outputs = walk.run(whole.jaxpr.jaxpr, [images])
    return Program(
        tuple(walk.kernels),
        tuple(walk.sizes),
        tuple(dict.fromkeys(value.buffer for value in outputs if value is not None)),
    )


class _Value(NamedTuple):
    """An array that depends on the input, as what is read of a buffer.

    Attributes:
        buffer: number of the buffer.
        elements: how many are read.
        view: how they were picked from it; `STENCIL` if several picks were combined, which is work of its own.
    """

    buffer: int
    elements: int
    view: tuple[Any, ...] = ()


Values = list[_Value | None]
"""Of each array what it is; `None` for what does not depend on the input."""


@dataclass
class _Walk:
    """Collects kernels and buffers from equations in their order."""

    kernels: list[Kernel] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)

    def value(self, elements: int) -> _Value:
        """Return a new buffer."""
        self.sizes.append(elements)
        return _Value(len(self.sizes) - 1, elements)

    def kernel(self, kind: str, inputs: Sequence[_Value], written: int, macs: int = 0, weights: int = 0) -> _Value:
        """Return what a new kernel writes."""
        sources = [self.settled(value) for value in inputs]
        target = self.value(written)
        read = sum(value.elements for value in sources)
        buffers = tuple(dict.fromkeys(value.buffer for value in sources))
        self.kernels.append(Kernel(kind, macs, read, weights, written, buffers, target.buffer))
        return target

    def settled(self, value: _Value) -> _Value:
        """Return the value, after the pool that it is if it combines several views."""
        if value.view != STENCIL:
            return value
        return self.kernel("pool", [_Value(value.buffer, self.sizes[value.buffer])], value.elements)

    def run(self, jaxpr: core.Jaxpr, arguments: Values) -> Values:
        """Collect what a program does, and return what its outputs are."""
        values: dict[Any, _Value | None] = dict(zip(jaxpr.invars, arguments, strict=True))

        def of(atom: Any) -> _Value | None:
            return None if isinstance(atom, core.Literal) else values.get(atom)

        for equation in jaxpr.eqns:
            outputs = self.equation(equation, [of(atom) for atom in equation.invars])
            values.update(zip(equation.outvars, outputs, strict=True))
        return [of(atom) for atom in jaxpr.outvars]

    def called(self, jaxpr: core.Jaxpr, arguments: Values) -> Values:
        """Collect what a module or a function with its own derivative does: what it returns is complete."""
        return [value and self.settled(value) for value in self.run(jaxpr, arguments)]

    def equation(self, equation: Any, inputs: Values) -> Values:
        """Collect what an equation does, and return what its outputs are."""
        name, params = equation.primitive.name, equation.params
        if name == "part":
            if not any(inputs):
                # A module of a constant runs like any other; the constant lies in memory.
                inputs = [self.value(math.prod(atom.aval.shape)) for atom in equation.invars]
            return self.called(params["traced"].jaxpr.jaxpr, inputs)
        if not any(inputs):
            return [None] * len(equation.outvars)
        if name in LOOPS:
            raise UserError(
                f"the network loops over its input ({name}), so that its kernels are not known: choose a search space "
                f"of networks without loops, or a measured profile"
            )
        if name == "cond":
            # What a platform decides (`lax.platform_dependent`) has the form for all other platforms last.
            return self.run(params["branches"][-1].jaxpr, inputs[1:])
        if name.startswith("custom_vjp"):
            return self.called(inner(params)[0], inputs)
        if name in CALLS:
            return self.run(inner(params)[0], inputs)
        present = [value for value in inputs if value is not None]
        found = self.fused(equation, present)
        return [found or self.started(equation, present)] * len(equation.outvars)

    def fused(self, equation: Any, present: list[_Value]) -> _Value | None:
        """Return what an equation's output is if it needs no kernel of its own.

        Args:
            equation: one on arrays.
            present: its inputs that depend on the images.
        """
        name, size = equation.primitive.name, math.prod(equation.outvars[0].aval.shape)
        if name in SHAPES:
            return present[0]
        if name in VIEWS:
            value = self.settled(present[0])
            return _Value(value.buffer, min(size, value.elements), (*value.view, name, str(equation.params)))
        if name in KINDS or name.startswith(REDUCTIONS) or len({value.buffer for value in present}) > 1:
            return None
        views = {value.view for value in present}
        return _Value(present[0].buffer, size, views.pop() if len(views) == 1 else STENCIL)

    def started(self, equation: Any, present: list[_Value]) -> _Value:
        """Return what an equation writes as a kernel of its own; arguments as those of `fused`."""
        name, size = equation.primitive.name, math.prod(equation.outvars[0].aval.shape)
        kind = KINDS.get(name, "pool" if name.startswith(REDUCTIONS) else "join")
        if name not in MACS:
            return self.kernel(kind, present, size)
        weights = math.prod(equation.invars[1].aval.shape) if len(present) == 1 else 0
        return self.kernel(kind, present, size, MACS[name](equation), weights)
