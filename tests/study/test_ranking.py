"""The quality of a supernet's ranking: inherited accuracy is that of the derived network, correlations are closed."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.chunks import DeviceData
from dnas.data.augment import normalise
from dnas.data.dataset import make
from dnas.selection import one_hot
from dnas.shrinking import shrunk, strongest
from dnas.study.ranking import correlations, inherited_accuracy, representable, top_rows
from search_spaces import nasbench201

ARCHITECTURES = (
    "|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|+|none~0|avg_pool_3x3~1|skip_connect~2|",
    "|skip_connect~0|+|none~0|skip_connect~1|+|nor_conv_1x1~0|none~1|avg_pool_3x3~2|",
    "|none~0|+|none~0|none~1|+|none~0|none~1|none~2|",
)


def test_inherited_accuracy_is_that_of_the_derived_network_with_the_minibatch_s_statistics() -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (20, 8, 8, 1), dtype=np.uint8)
    labels = np.arange(20) % 4
    dataset = make("made up", pixels, labels, pixels, labels)
    space = nasbench201.space(
        classes=4, channels=2, cells=1, ops=("none", "skip_connect", "nor_conv_1x1", "avg_pool_3x3")
    )
    variables = jax.jit(space.init)(jax.random.key(0), jnp.zeros((2, 8, 8, 1)))
    # An untrained head answers the same for all images: a larger one tells them apart.
    variables.params["head"]["dense"]["kernel"] *= 30
    genotypes = [nasbench201.from_string(text) for text in ARCHITECTURES]
    rows = rng.permutation(20)
    images = DeviceData(jnp.asarray(pixels), jnp.asarray(labels))
    estimate = inherited_accuracy(space, lambda _: variables, genotypes, images, rows, dataset)

    x = normalise(images.x[rows], dataset.mean, dataset.std)
    for genotype, accuracy in zip(genotypes, estimate, strict=True):
        network = space.build(genotype, searched=True)
        own = space.inherit(genotype, variables)
        logits = network.apply(own, x, train=True)[0].logits
        assert accuracy == pytest.approx(float(np.mean(np.argmax(logits, -1) == labels[rows])), abs=1e-6)
    assert len(set(estimate)) > 1


def test_correlations() -> None:
    truth = np.array([0.1, 0.2, 0.4, 0.3, 0.9])
    assert correlations(truth**3, truth) == {"kendall": pytest.approx(1), "spearman": pytest.approx(1)}
    assert correlations(-truth, truth) == {"kendall": pytest.approx(-1), "spearman": pytest.approx(-1)}
    # One of six pairs is turned round: (5 - 1) / 6, and 1 - 6 * 2 / (4 * 15).
    swapped = correlations(np.array([1.0, 3.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0, 4.0]))
    assert swapped == {"kendall": pytest.approx(4 / 6), "spearman": pytest.approx(0.8)}
    # A tie on one side: 2 concordant pairs of 3, tau-b = 2 / sqrt(3 * 2).
    assert correlations(np.array([1.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0]))["kendall"] == pytest.approx(2 / 6**0.5)


@pytest.mark.parametrize(("estimate", "truth"), [([1, 1, 1], [1, 2, 3]), ([1, 2, 3], [4, 4, 4]), ([1], [1])])
def test_no_order_is_no_correlation(estimate: list[float], truth: list[float]) -> None:
    assert correlations(np.array(estimate), np.array(truth)) == {"kendall": None, "spearman": None}


def test_the_top_decile() -> None:
    truth = np.random.default_rng(0).permutation(95) / 100
    top = top_rows(truth)
    assert len(top) == 10
    assert sorted(truth[top]) == pytest.approx(np.arange(85, 95) / 100)


def test_a_narrowed_supernet_holds_what_each_edge_still_offers() -> None:
    """As methods narrow it: each edge keeps operations of its own, so that names alone do not tell."""
    space = nasbench201.space(classes=2, channels=2, cells=1)
    rows = np.random.default_rng(0).random((6, 5)).astype(np.float32)
    masks = strongest(space.spec, {"cell": rows}, 2)  # type: ignore[dict-item]
    narrow = shrunk(space, masks)
    held = [one for one in nasbench201.enumerate_all() if representable(narrow, one)]
    assert len(held) == 2**6
    for one in held:
        chosen = np.asarray(one_hot(space.spec, one)["cell"]) > 0
        assert not (chosen & ~masks["cell"]).any()
    assert all(representable(space, one) for one in held)
