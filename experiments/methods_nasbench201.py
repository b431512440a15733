"""Which method, on a small budget? Every method on NAS-Bench-201 with real CIFAR-10 images, against the truth.

    python experiments/methods_nasbench201.py --data-dir DIR --table DIR/nb201.npz

runs `dnas study` on the first 4,096 training images of CIFAR-10 (half for the weights, half for the architecture), with
a supernet of 4 channels and 1 cell a stage instead of 16 and 5, 3 seeds, and the same budget for every method:
256 minibatches of 64 images for the weights (8 epochs; single-level methods, whose epochs are twice as long, have 4;
those that decide in rounds or stages spend them on all of these). The learning rate of the architecture parameters is
0.01 for all instead of, mostly, 3e-4, since the search is so much shorter. `r_darts` looks at the curvature after every
epoch from the second on, and `rc_darts` may use half of the parameters between the smallest and the largest network of
the supernet's size. Left out are the methods that train no architecture parameters and therefore refuse that learning
rate: `dnas study --set search.epochs=8 --methods spos,zero_cost` with the other settings below runs them. Further
options of `dnas study` work too; `--methods` replaces the list below.

Results, in experiments/results/methods_nasbench201/, and what they say: see README, "Which method when".
"""

import sys
from pathlib import Path

import click
import numpy as np

from dnas.cli import main
from dnas.data import load
from dnas.errors import UserError

IMAGES = 4096
METHODS = (
    "darts",
    "darts_pt@search.epochs=2@search.interval=1",
    "drnas",
    "gdas",
    "pc_darts@search.partial_channels=2",
    "darts_minus",
    "sdarts",
    "fair_darts",
    "snas",
    "oles",
    "gm_nas@search.minibatches=8",
    "p_darts@search.first_cells=1@search.added_cells=1",
    "drop_nas@search.train_share=1@search.epochs=4",
    "darts_plus",
    "setn",
    "sharp_darts",
    "proxyless",
    "rarts",
    "darts_single_level@search.train_share=1@search.epochs=4",
    "drnas_progressive@search.first_partial_channels=2@search.second_partial_channels=1",
    "darts_second_order",
    "idarts",
    "r_darts@search.every=1@search.window=3@search.lag=1@search.earliest=2",
    "rc_darts@search.max_params=14000",
)
SETTINGS = ("space.channels=4", "search.epochs=8", "search.chunk_steps=0", "search.alpha_lr=0.01")


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--data-dir", help="Folder of downloaded data sets.  [default: $DNAS_DATA]")
@click.option("--images", type=Path, default=Path("studies/cifar10-4096.npz"), help="Where the images are put.")
@click.argument("rest", nargs=-1, type=click.UNPROCESSED)
def methods(data_dir: str | None, images: Path, rest: tuple[str, ...]) -> None:
    """Compare all methods on NAS-Bench-201 on a small budget; REST goes to `dnas study`."""
    if not images.is_file():
        try:
            cut(images, data_dir)
        except UserError as error:
            sys.exit(f"error: {error}")
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    own = [] if "--methods" in rest else ["--methods", ",".join(METHODS)]
    where = ["--data", f"npz:{images}", "--truth", "cifar10", "--study-dir", "studies/methods"]
    main(["study", "--preset", "small", "--ranking", "50", "--seeds", "3", *where, *settings, *own, *rest])


def cut(images: Path, data_dir: str | None) -> None:
    """Write the first training images and all test images of CIFAR-10 to a file."""
    whole = load("cifar10", data_dir)
    images.parent.mkdir(parents=True, exist_ok=True)
    unfinished = images.with_name(f".{images.stem}.unfinished.npz")
    shown = {"x_train": whole.x_train[:IMAGES], "y_train": whole.y_train[:IMAGES]}
    np.savez(unfinished, **shown, x_test=whole.x_test, y_test=whole.y_test)
    unfinished.replace(images)


if __name__ == "__main__":
    methods()
