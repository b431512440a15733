from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.data import Augment
from dnas.data.augment import augment, check, normalise, random_crop, random_cutout, random_flip

HEIGHT, WIDTH = 6, 5
# Every value differs and none is zero, so that a pixel tells where it came from.
IMAGE = np.arange(1, HEIGHT * WIDTH * 2 + 1, dtype=np.uint8).reshape(HEIGHT, WIDTH, 2)
MEAN, STD = (0.1, 0.4), (0.3, 0.2)


def _batch(size: int) -> jax.Array:
    return jnp.asarray(np.repeat(IMAGE[None], size, axis=0))


def _counts(images: jax.Array) -> dict[bytes, int]:
    kinds, counts = np.unique(np.asarray(images), axis=0, return_counts=True)
    return {kind.tobytes(): int(count) for kind, count in zip(kinds, counts, strict=True)}


def _shifts(padding: int) -> list[np.ndarray]:
    padded = np.pad(IMAGE, ((padding, padding), (padding, padding), (0, 0)))
    span = range(2 * padding + 1)
    return [padded[row : row + HEIGHT, column : column + WIDTH] for row in span for column in span]


def _erased(side: int) -> list[np.ndarray]:
    masks = []
    for row in range(HEIGHT):
        for column in range(WIDTH):
            mask = np.ones((HEIGHT, WIDTH, 1), np.float32)
            top, left = row - side // 2, column - side // 2
            mask[max(top, 0) : max(top + side, 0), max(left, 0) : max(left + side, 0)] = 0
            masks.append(mask)
    return masks


def test_normalise_is_its_formula():
    expected = (IMAGE / 255 - np.array(MEAN)) / np.array(STD)
    got = normalise(jnp.asarray(IMAGE), MEAN, STD)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-6)
    assert normalise(jnp.asarray(IMAGE), MEAN, STD, jnp.bfloat16).dtype == jnp.bfloat16


@pytest.mark.parametrize("padding", [1, 2])
def test_a_crop_is_each_of_the_shifts_equally_often(padding):
    size = 200 * (2 * padding + 1) ** 2
    counts = _counts(random_crop(jax.random.key(0), _batch(size), padding))
    assert counts.keys() == {shift.tobytes() for shift in _shifts(padding)}
    assert all(140 < count < 260 for count in counts.values())


def test_a_flip_is_the_mirror_image_half_of_the_time():
    counts = _counts(random_flip(jax.random.key(0), _batch(1000)))
    assert counts.keys() == {IMAGE.tobytes(), IMAGE[:, ::-1].tobytes()}
    assert 430 < counts[IMAGE.tobytes()] < 570


@pytest.mark.parametrize("side", [1, 2, 3, 4])
def test_cutout_is_a_clipped_square_about_each_pixel_equally_often(side):
    centres = HEIGHT * WIDTH
    images = random_cutout(jax.random.key(0), jnp.ones((200 * centres, HEIGHT, WIDTH, 2)), side)
    counts = _counts(images[..., :1])
    assert counts.keys() == {mask.tobytes() for mask in _erased(side)}
    assert all(130 < count < 270 for count in counts.values())
    np.testing.assert_array_equal(images[..., 0], images[..., 1])


def test_row_and_column_of_a_cutout_are_drawn_apart():
    """Equal draws would only show in a square image, and only on its diagonal."""
    images = random_cutout(jax.random.key(0), jnp.ones((1000, 4, 4, 1)), 1)
    assert len(_counts(images)) == 16


def test_with_everything_off_only_normalisation_is_left():
    x = _batch(3)
    np.testing.assert_array_equal(augment(jax.random.key(0), x, MEAN, STD), normalise(x, MEAN, STD))


def test_crop_and_flip_come_before_normalisation():
    both = [image for shift in _shifts(1) for image in (shift, shift[:, ::-1])]
    expected = {np.asarray(normalise(jnp.asarray(image), MEAN, STD)).tobytes() for image in both}
    got = augment(jax.random.key(0), _batch(600), MEAN, STD, crop_padding=1, flip=True)
    assert got.dtype == jnp.float32
    # Every pair occurs, so the draws do not depend on each other; black is not zero after normalisation.
    assert _counts(got).keys() == expected


def test_cutout_comes_after_normalisation():
    x = _batch(300)
    normal = normalise(x, MEAN, STD)
    got = augment(jax.random.key(0), x, MEAN, STD, cutout=3)
    kept = np.asarray(got != 0).all(axis=-1)
    np.testing.assert_array_equal(got, np.where(kept[..., None], normal, 0))
    assert {k.astype(np.float32).tobytes() for k in kept} == {mask.tobytes() for mask in _erased(3)}


def test_the_key_decides():
    settings = {"crop_padding": 2, "flip": True, "cutout": 2}
    x = _batch(64)
    first = augment(jax.random.key(1), x, MEAN, STD, **settings)
    np.testing.assert_array_equal(first, augment(jax.random.key(1), x, MEAN, STD, **settings))
    assert not np.array_equal(first, augment(jax.random.key(2), x, MEAN, STD, **settings))


def test_one_trace_serves_every_key_and_batch():
    traces = []

    @jax.jit
    def step(key, x):
        traces.append(1)
        return augment(key, x, MEAN, STD, crop_padding=1, flip=True, cutout=2)

    for seed in range(3):
        step(jax.random.key(seed), _batch(4) + seed)
    assert len(traces) == 1


def test_vmap_over_keys_equals_a_loop():
    function = jax.jit(partial(augment, mean=MEAN, std=STD, crop_padding=1, flip=True, cutout=2))
    keys, x = jax.random.split(jax.random.key(3), 4), _batch(8)
    together = jax.vmap(function, in_axes=(0, None))(keys, x)
    for key, images in zip(keys, together, strict=True):
        np.testing.assert_allclose(images, function(key, x), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("settings", "word"),
    [(Augment(crop_padding=-1), "crop_padding is -1"), (Augment(crop_padding=5), "crop_padding is 5"),
     (Augment(cutout=-2), "cutout is -2"), (Augment(cutout=16), "cutout is 16")],
)  # fmt: skip
def test_settings_that_blank_images_are_one_sentence(sentence, settings, word):
    with sentence(word, f"{HEIGHT}x{WIDTH} pixels", "0..4", "smaller"):
        check(settings, HEIGHT, WIDTH)
    with sentence(word):
        augment(jax.random.key(0), _batch(1), MEAN, STD, **settings._asdict())


def test_a_single_image_is_refused_while_tracing():
    with pytest.raises(ValueError, match=r"expected images of shape \(B, H, W, C\)"):
        augment(jax.random.key(0), jnp.asarray(IMAGE), MEAN, STD)
