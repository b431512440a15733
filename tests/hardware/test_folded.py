"""What a converter leaves of dead edges, held to the patterns that measurements show."""

import numpy as np
import pytest

from dnas.genotype import Genotype
from dnas.hardware.folded import folded
from dnas.hardware.live import live
from dnas.selection import random_genotype
from search_spaces import darts, nasbench201

SPACE = nasbench201.space(classes=2)
OPS = {".": "none", "s": "skip_connect", "1": "nor_conv_1x1", "3": "nor_conv_3x3", "p": "avg_pool_3x3"}


def network(word: str) -> Genotype:
    """Return a network by a letter for each of the edges 1<-0, 2<-0, 2<-1, 3<-0, 3<-1, 3<-2."""
    a, b, c, d, e, f = (OPS[letter] for letter in word)
    return nasbench201.from_string(f"|{a}~0|+|{b}~0|{c}~1|+|{d}~0|{e}~1|{f}~2|")


@pytest.mark.parametrize("word", ["13s1p3", "3...s.", ".3.1.s", "s.1..3"])
def test_what_is_used_stays(word: str) -> None:
    assert folded(SPACE.spec, network(word)) == network(word)


@pytest.mark.parametrize(
    ("word", "left"),
    [
        ("3..1..", "3..1.."),
        (".3.1.s", ".3.1.s"),
        (".3.11.", ".3.11."),
        ("s3.1..", ".3.1.."),  # the dead skip connection beside it costs nothing
        ("p3.s..", ".3.s.."),
        ("1.3p..", "1.3p.."),  # one after the other
        ("3.s3..", "3.s3.."),
        ("p.3s..", "p.3s.."),
        (".3s1..", ".3.1.."),  # a skip connection from zeros adds nothing
        ("3..s.3", "3..s.3"),
    ],
)
def test_a_dead_convolution_at_the_end_stays_with_what_leads_to_it(word: str, left: str) -> None:
    assert folded(SPACE.spec, network(word)) == network(left)


@pytest.mark.parametrize("word", ["13.1..", "3p.1..", "3s.3..", "33.s..", "331p..", "3.p1..", ".33s..", "3331s."])
def test_dead_sums_and_pools_go(word: str) -> None:
    own = network(word)
    assert folded(SPACE.spec, own) == live(SPACE.spec, own) != own


def test_where_edges_compete_nothing_changes() -> None:
    space = darts.space(classes=2)
    genotype = random_genotype(space, np.random.default_rng(0))
    assert folded(space.spec, genotype) == genotype
