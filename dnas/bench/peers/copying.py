"""Weights from our parameter tree into a PyTorch module, and its gradients back into the names and layout of ours.

A supernet keeps the parameters of many edges stacked, in a way that is its own business. They are taken apart with the
search space's `inherit`: the network of the genotype that keeps every edge with one and the same operation names the
parameters of each edge, and all operations together name all parameters. `inherit` only picks, so that it takes a tree
of gradients apart as well.
"""

import re
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
import torch
from torch import nn

from dnas.genotype import Cell, Edge, Genotype
from dnas.types import SearchSpace, Variables

Flat = Mapping[str, np.ndarray]
"""Arrays by the path of names that leads to them, such as `cell_0/preprocess_0/pointwise/kernel`."""


def flatten(tree: Any) -> dict[str, np.ndarray]:
    """Return the leaves of a tree of mappings by path."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {"/".join(str(entry.key) for entry in path): np.asarray(leaf) for path, leaf in leaves}


def edge_by_edge(space: SearchSpace, tree: Any) -> dict[str, np.ndarray]:
    """Return the leaves of a supernet's parameters, or of gradients for them, with an entry for each edge."""
    ops = dict.fromkeys(op for group in space.spec.values() for op in group.ops)
    found: dict[str, np.ndarray] = {}
    # Indexing an array on the device would compile a program for each shape.
    tree = jax.device_get(tree)
    for op in ops:
        found |= flatten(space.inherit(_everywhere(space, op), Variables(tree, {})).params)
    return found


def _everywhere(space: SearchSpace, op: str) -> Genotype:
    """Return the genotype that keeps every edge, always with `op`."""
    cells = tuple(
        (name, Cell(tuple(tuple(Edge(op, source) for _, source in node) for node in group.nodes), group.concat))
        for name, group in space.spec.items()
    )
    return Genotype(space.name, cells)


def load(model: nn.Module, ours: Flat) -> None:
    """Copy our parameters into `model`, on whatever device it is.

    Raises:
        ValueError: if a parameter of one side has none of the same place and shape on the other.
    """
    left = dict(ours)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            shape = tuple(parameter.shape)
            value = _to_torch(left.pop(_path(name, ours)))
            # A 1x1 convolution of theirs is a matrix of ours.
            value = value.reshape(value.shape + (1,) * (len(shape) - value.ndim))
            if value.shape != shape:
                raise ValueError(f"{name}: expected the shape {shape}, got {value.shape}")
            parameter.copy_(torch.from_numpy(value.copy()))
    if left:
        raise ValueError(f"the PyTorch network has no place for {', '.join(sorted(left))}")


def values(model: nn.Module, ours: Flat, *, gradients: bool) -> dict[str, np.ndarray]:
    """Return the parameters of `model`, or their gradients, by the paths and in the layout of `ours`."""
    found = {}
    for name, parameter in model.named_parameters():
        path = _path(name, ours)
        tensor = parameter.grad if gradients else parameter
        if tensor is None:
            raise ValueError(f"{name} has no gradient")
        found[path] = _from_torch(tensor.detach().float().cpu().numpy(), ours[path].ndim)
    return found


def _path(name: str, ours: Flat) -> str:
    """Return the path of the PyTorch parameter called `name`."""
    place, _, leaf = name.rpartition(".")
    place = re.sub(r"^cells\.(\d+)\.", r"cell_\1/", place)
    place = re.sub(r"^stages\.(\d+)\.(\d+)\.", r"stage_\1_\2/", place)
    place = place.replace("edges.", "").replace(".ops.", "_").replace(".", "/")
    options = ("kernel", "bn/scale") if leaf == "weight" else ("bias", "bn/bias")
    for option in options:
        if f"{place}/{option}" in ours:
            return f"{place}/{option}"
    raise ValueError(f"{name}: our network has no parameter of this place")


def _to_torch(value: np.ndarray) -> np.ndarray:
    """Return a kernel (h, w, in, out) as (out, in, h, w), a matrix (in, out) as (out, in), a vector as it is."""
    return value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T


def _from_torch(value: np.ndarray, ndim: int) -> np.ndarray:
    if ndim == 4:
        return value.transpose(2, 3, 1, 0)
    return value.reshape(value.shape[:2]).T if ndim == 2 else value
