"""A network as one Python file that a user can read and edit, and its weights in safetensors."""

import importlib.util
import inspect
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from dnas.export.program import Layer
from dnas.export.source import Source

MODEL, WEIGHTS = "model.py", "weights.safetensors"
_HEAD = '''"""{title}

Made by dnas export; it uses nothing of dnas, and may be edited. The weights lie beside it:

    variables = load("weights.safetensors")
    logits = Network().apply(variables, images)

Images are uint8, (N, {height}, {width}, {channels}), with any N.
{norms}
"""

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

CLASSES = (
{classes})
MEAN = {mean}
STD = {std}
"""Of the training images, for each channel, in units of 255."""


def normalise(images: jax.Array) -> jax.Array:
    """Return what the network was trained on."""
    return (images.astype(jnp.float32) / 255 - jnp.asarray(MEAN, jnp.float32)) / jnp.asarray(STD, jnp.float32)
'''
_FOLDED = "Batch norm is folded into the convolutions before it: to train the network, export it with --no-fold."
_TRAINABLE = 'In training, call it with `train=True` and `mutable=["batch_stats"]`.'


class Images(NamedTuple):
    """What a classifier of images takes and says.

    Attributes:
        shape: (H, W, C) of an image.
        mean: for each channel, of pixels divided by 255.
        std: for each channel, of the same.
        classes: names of the classes.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]


def model_text(source: Source, images: Images, title: str, *, folded: bool) -> str:
    """Return the text of `model.py`.

    Args:
        source: the network, as its space writes it.
        images: what it takes and says.
        title: first line of the file, a sentence.
        folded: whether batch norm is folded.
    """
    height, width, channels = images.shape
    head = _HEAD.format(
        title=title,
        height=height,
        width=width,
        channels=channels,
        norms=_FOLDED if folded else _TRAINABLE,
        classes="".join(f"    {json.dumps(name)},\n" for name in images.classes),
        mean=tuple(map(float, images.mean)),
        std=tuple(map(float, images.std)),
    )
    return "\n\n".join([head, *_parts(source, folded), source.text.strip() + "\n"])


def _parts(source: Source, folded: bool) -> list[str]:
    """Return the source of all parts that a network uses, each after those that it uses itself."""
    from dnas.export import blocks, folded_blocks

    texts: dict[str, str] = {}

    def add(part: Any) -> None:
        name = part.__name__
        own = getattr(folded_blocks, name, part) if folded else part
        text = inspect.getsource(own)
        for word in dict.fromkeys(re.findall(r"\b\w+(?=\()", text)):
            used = getattr(inspect.getmodule(part), word, None) or getattr(blocks, word, None)
            local = inspect.isclass(used) or inspect.isfunction(used)
            if word != name and word not in texts and local and used.__module__ in (part.__module__, blocks.__name__):
                add(used)
        texts.setdefault(name, text)

    for part in (blocks.load, *source.parts):
        add(part)
    return list(texts.values())


def weights(model: Path, layers: Sequence[Layer], shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Return the arrays of a written network by their paths, `params/head/kernel` and so on.

    The layers of the written network are found by running its shapes through it: they are called in the same order as
    those of the program.

    Args:
        model: the file, whose text is run.
        layers: `Program.layers` of the same network, folded if the file is.
        shape: (H, W, C) of an image.

    Raises:
        ValueError: if the written network has other layers, which is a mistake in the space's `source`.
    """
    wanted = _wanted(model, shape)
    if len(wanted) != len(layers):
        raise ValueError(f"{model.name} has {len(wanted)} layers, the network {len(layers)}")
    found: dict[str, np.ndarray] = {}
    for (path, arrays), layer in zip(wanted.items(), layers, strict=True):
        for name, expected in arrays.items():
            value = _value(layer.variables, name, expected)
            if value.shape != expected.shape:
                raise ValueError(f"{path}: {name} has shape {expected.shape}, that of {layer.path} {value.shape}")
            collection = "batch_stats" if name in ("mean", "var") else "params"
            found[f"{collection}/{path}/{name}"] = np.ascontiguousarray(value, np.float32)
    return found


def _value(arrays: Mapping[str, np.ndarray], name: str, expected: Any) -> np.ndarray:
    if name in ("scale", "bias") and name not in arrays and "mean" in arrays:
        # Written batch norms have both.
        return np.full(expected.shape, name == "scale", np.float32)
    value = arrays[name]
    return value[None, None] if name == "kernel" and value.ndim == 2 and len(expected.shape) == 4 else value


def _wanted(model: Path, shape: tuple[int, ...]) -> dict[str, dict[str, Any]]:
    """Return the arrays of each layer of a written network, in the order of their calls."""
    order: list[str] = []

    def note(method: Any, args: tuple[Any, ...], kwargs: dict[str, Any], context: Any) -> Any:
        if isinstance(context.module, nn.Conv | nn.Dense | nn.BatchNorm):
            order.append("/".join(context.module.path))
        return method(*args, **kwargs)

    with _imported(model) as module, nn.intercept_methods(note):
        example = jax.ShapeDtypeStruct((1, *shape), np.uint8)
        tree = jax.eval_shape(module.Network().init, jax.random.key(0), example)
    arrays: dict[str, dict[str, Any]] = {path: {} for path in order}
    for path, leaf in jax.tree_util.tree_flatten_with_path(tree)[0]:
        _, *parents, last = (entry.key for entry in path)
        arrays["/".join(parents)][last] = leaf
    return arrays


@contextmanager
def _imported(model: Path) -> Iterator[ModuleType]:
    """Import a written file for a moment, under a name that nothing else has."""
    name = "_dnas_written_model"
    spec = importlib.util.spec_from_file_location(name, model)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Dataclasses, which Flax modules are, look their own module up.
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
        yield module
    finally:
        del sys.modules[name]
