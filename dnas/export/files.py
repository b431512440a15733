"""The files of each format, and how they are made of a run's network."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np

from dnas.data.augment import normalise
from dnas.errors import UserError
from dnas.export.flax import MODEL, WEIGHTS, Images, model_text, weights
from dnas.export.needed import require
from dnas.export.onnx import to_onnx
from dnas.export.program import Program, program
from dnas.export.source import Source
from dnas.export.stablehlo import to_stablehlo
from dnas.export.trained import Trained

FILES = {"stablehlo": ("model.stablehlo",), "onnx": ("model.onnx",), "flax": (MODEL, WEIGHTS)}
"""What a format consists of; the first file is the one that is run."""
PACKAGES = {
    "stablehlo": ("flatbuffers",),
    "onnx": ("jax2onnx", "onnx", "onnxruntime"),
    "flax": ("safetensors",),
}
"""What a format needs here that dnas does not bring."""


def example(trained: Trained) -> jax.ShapeDtypeStruct:
    """Return what an exported network takes: images as files hold them."""
    return jax.ShapeDtypeStruct((1, *trained.dataset.image_shape), np.uint8)


def exported_program(trained: Trained, *, folded: bool) -> Program:
    """Return a run's network as a program on uint8 images."""
    data = trained.dataset
    return program(
        trained.network,
        trained.variables,
        folded=folded,
        preprocess=partial(normalise, mean=data.mean, std=data.std),
    )


def check_formats(trained: Trained, formats: Sequence[str]) -> None:
    """Raise `UserError` if a package for one of the formats is missing, or the space has no text of its networks."""
    for to in formats:
        require(*PACKAGES[to])
    if "flax" in formats:
        _source(trained)


def write(to: str, trained: Trained, own: Program, folder: Path, *, folded: bool) -> None:
    """Write a run's network into `folder` in one format.

    Raises:
        UserError: if it cannot be converted.
    """
    if to == "flax":
        _write_flax(trained, own, folder, folded=folded)
        return
    convert: Callable[..., bytes] = to_onnx if to == "onnx" else to_stablehlo
    (folder / FILES[to][0]).write_bytes(convert(own.call, example(trained)))


def _write_flax(trained: Trained, own: Program, folder: Path, *, folded: bool) -> None:
    from safetensors.numpy import save

    data = trained.dataset
    images = Images(data.image_shape, data.mean, data.std, data.classes)
    title = f"A network of the search space {trained.config.space} for {len(data.classes)} classes."
    (folder / MODEL).write_text(model_text(_source(trained), images, title, folded=folded), encoding="utf-8")
    arrays = weights(folder / MODEL, own.layers(example(trained)), data.image_shape)
    (folder / WEIGHTS).write_bytes(save(arrays))


def _source(trained: Trained) -> Source:
    write_out = getattr(trained.module, "python_source", None)
    if write_out is None:
        raise UserError(
            f"networks of {trained.config.space} are your own code's modules already, and --to flax writes out those "
            f"of this library's spaces only: leave it out, and export to stablehlo or onnx"
        )
    found: Source = write_out(trained.genotype, classes=len(trained.dataset.classes), **trained.building)
    return found
