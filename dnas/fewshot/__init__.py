"""Splitting a supernet into sub-supernets that share less: which operations part company, and on which edge.

`matching` measures, `partition` decides, `masks` says what each sub-supernet may still choose.
"""

from dnas.fewshot.masks import Masks, all_allowed, masked_softmax, split, stack, unsplit
from dnas.fewshot.matching import gradient_distances
from dnas.fewshot.partition import Partition, choose_edge, exhaustive, partition

__all__ = [
    "Masks",
    "Partition",
    "all_allowed",
    "choose_edge",
    "exhaustive",
    "gradient_distances",
    "masked_softmax",
    "partition",
    "split",
    "stack",
    "unsplit",
]
