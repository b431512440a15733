"""Normalisation and random augmentation inside jit: crop, flip, cutout.

The order is that of the DARTS experiments (arXiv:1806.09055): crop and flip act on pixels padded with black, before
normalisation; cutout (arXiv:1708.04552) sets normalised values to zero, that is, to the mean colour.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp

from dnas.data.dataset import Augment
from dnas.errors import UserError
from dnas.types import Array, PRNGKey


def normalise(
    x: Array, mean: Sequence[float] | Array, std: Sequence[float] | Array, dtype: jax.typing.DTypeLike = jnp.float32
) -> Array:
    """Return `(x / 255 - mean) / std`.

    Args:
        x: `(..., C)` uint8 pixels.
        mean: C means of `x / 255`.
        std: C standard deviations of `x / 255`.
        dtype: of the result; the arithmetic is in float32.
    """
    scaled = (x.astype(jnp.float32) / 255 - jnp.asarray(mean, jnp.float32)) / jnp.asarray(std, jnp.float32)
    return scaled.astype(dtype)


def augment(
    key: PRNGKey,
    x: Array,
    mean: Sequence[float] | Array,
    std: Sequence[float] | Array,
    *,
    crop_padding: int = 0,
    flip: bool = False,
    cutout: int = 0,
) -> Array:
    """Crop, flip, normalise and cut out, each image by its own draw.

    Args:
        key: random key.
        x: `(B, H, W, C)` uint8 pixels.
        mean: C means of `x / 255`.
        std: C standard deviations of `x / 255`.
        crop_padding: pixels of black on every side before a random crop back to H x W; 0 turns it off.
        flip: whether each image is mirrored left to right with probability 1/2.
        cutout: side of the square set to zero, clipped at the borders; 0 turns it off.

    Returns:
        `(B, H, W, C)` float32.

    Raises:
        UserError: while tracing, if `check` does not hold.
    """
    if x.ndim != 4:
        raise ValueError(f"augment: expected images of shape (B, H, W, C), got {x.shape}")
    check(Augment(crop_padding, flip, cutout), x.shape[1], x.shape[2])
    key_crop, key_flip, key_cutout = jax.random.split(key, 3)
    if crop_padding:
        x = random_crop(key_crop, x, crop_padding)
    if flip:
        x = random_flip(key_flip, x)
    normalised = normalise(x, mean, std)
    return random_cutout(key_cutout, normalised, cutout) if cutout else normalised


def check(settings: Augment, height: int, width: int) -> None:
    """Raise `UserError` where `settings` could blank out whole images of `height` x `width` pixels."""
    for name, value in (("crop_padding", settings.crop_padding), ("cutout", settings.cutout)):
        if not 0 <= value < min(height, width):
            raise UserError(
                f"{name} is {value} for images of {height}x{width} pixels, expected 0..{min(height, width) - 1}: "
                f"choose one smaller than the image"
            )


def random_crop(key: PRNGKey, x: Array, padding: int) -> Array:
    """Pad `(B, H, W, C)` images with `padding` zeros on every side and cut H x W out of each at a random place."""
    offsets = jax.random.randint(key, (x.shape[0], 2), 0, 2 * padding + 1)
    padded = jnp.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))

    def crop(image: Array, offset: Array) -> Array:
        return jax.lax.dynamic_slice(image, (offset[0], offset[1], 0), x.shape[1:])

    return jax.vmap(crop)(padded, offsets)


def random_flip(key: PRNGKey, x: Array) -> Array:
    """Mirror each of the `(B, H, W, C)` images left to right with probability 1/2."""
    mirrored = jax.random.bernoulli(key, 0.5, (x.shape[0], 1, 1, 1))
    return jnp.where(mirrored, x[:, :, ::-1], x)


def random_cutout(key: PRNGKey, x: Array, side: int) -> Array:
    """Set a square of `side` x `side` pixels to zero in each of the `(B, H, W, C)` images.

    The centre is uniform over the pixels and the square is clipped at the borders, so that up to three quarters of it
    may lie outside.
    """
    batch, height, width, _ = x.shape
    key_row, key_column = jax.random.split(key)
    rows = _covered(jax.random.randint(key_row, (batch,), 0, height), height, side)
    columns = _covered(jax.random.randint(key_column, (batch,), 0, width), width, side)
    return jnp.where((rows[:, :, None] & columns[:, None, :])[..., None], 0, x)


def _covered(centres: Array, length: int, side: int) -> Array:
    """Return the `(B, length)` mask of positions that a segment of `side` about each of the `(B,)` centres covers."""
    distance = jnp.arange(length) - (centres[:, None] - side // 2)
    return (distance >= 0) & (distance < side)
