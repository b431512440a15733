"""Does DARTS find good cells in NAS-Bench-201, where the truth is known, and does the answer hold over seeds?

    python experiments/nasbench201_cifar10.py --data-dir DIR --table DIR/nb201.npz

is the study

    dnas study --preset small --methods darts,darts@search.alpha_lr=0.0003 --seeds 3 --ranking 40

on all 50,000 training images of CIFAR-10 (half for the weights, half for the architecture), with a supernet of
8 channels and 1 cell a stage instead of 16 and 5, for 5 epochs instead of 50. The competitors differ in the learning
rate of the architecture parameters only: 3e-3, chosen for the short search, and the published 3e-4. Further options of
`dnas study` work too.

Results, in experiments/results/nasbench201_cifar10/, and what they say: see README, "Comparing methods honestly".
"""

import sys

from dnas.cli import main

STUDY = "--preset small --methods darts,darts@search.alpha_lr=0.0003 --seeds 3 --ranking 40"

if __name__ == "__main__":
    main(["study", *STUDY.split(), *sys.argv[1:]])
