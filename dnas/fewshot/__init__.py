"""Splitting a supernet into sub-supernets that share less: which operations part company, and on which edge.

`matching` measures, `partition` decides, `masks` says what each sub-supernet may still choose; `divide` does all three
for a supernet, `together` trains the parts, and `course` makes a search of them.
"""

from dnas.fewshot.course import Splitting, few_shot, split_epochs
from dnas.fewshot.divide import Matching, by_matching, divisible, one_by_one
from dnas.fewshot.masks import Masks, all_allowed, masked_softmax, split, stack, unsplit
from dnas.fewshot.matching import gradient_distances, operation_gradients, without_own
from dnas.fewshot.partition import Partition, choose_edge, exhaustive, partition
from dnas.fewshot.together import inherit, restart, together

__all__ = [
    "Masks",
    "Matching",
    "Partition",
    "Splitting",
    "all_allowed",
    "by_matching",
    "choose_edge",
    "divisible",
    "exhaustive",
    "few_shot",
    "gradient_distances",
    "inherit",
    "masked_softmax",
    "one_by_one",
    "operation_gradients",
    "partition",
    "restart",
    "split",
    "split_epochs",
    "stack",
    "together",
    "unsplit",
    "without_own",
]
