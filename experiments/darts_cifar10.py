"""Does DARTS find a better cell for CIFAR-10 than chance, and how long does that take on this machine?

Run it with one of the presets; every other option of `dnas search` works too:

    python experiments/darts_cifar10.py --preset small --data-dir DIR      CPU
    python experiments/darts_cifar10.py --preset paper --data-dir DIR      GPU, the published protocol

DIR holds `cifar-10-batches-bin/`; `dnas data cifar10 --data-dir DIR` brings it there.

Result of `--preset small`, seed 0, on 2 busy CPU cores: 52 min; found 59.69 %, random architecture 57.15 % on the
10,000 test images (experiments/results/darts_cifar10_small/result.json). `--preset paper` has not been run.
"""

import sys

from dnas.cli import main

if __name__ == "__main__":
    main(["search", "--space", "darts", "--method", "darts", "--data", "cifar10", *sys.argv[1:]])
