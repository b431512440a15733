"""`dnas pareto`."""

from pathlib import Path

import click

from dnas.cli.options import command_line


@click.command()
@click.option("--space", default="nasbench201", show_default=True, help="Search space, or package.module:function.")
@click.option(
    "--method",
    default="darts",
    show_default=True,
    help="Search method, or METHOD@NAME=VALUE with a setting of its own.",
)
@click.option(
    "--seeds", default="3", show_default=True, help="How many (5), or which (0,3,7); each trains one supernet."
)
@click.option("--preset", default="small", show_default=True, help="Named set of settings: tiny, small or paper.")
@click.option("--data", help="digits, cifar10, npz:FILE or folder:DIR.  [default: the preset's]")
@click.option("--data-dir", help="Folder of downloaded data sets and of the table.  [default: $DNAS_DATA]")
@click.option(
    "--hardware",
    metavar="NAME|FILE",
    help="Device whose cost is predicted: a shipped profile, a known machine or a file of `dnas profile`.",
)
@click.option(
    "--metric",
    default="latency",
    show_default=True,
    help="What networks cost: latency, energy, params, macs or memory.",
)
@click.option(
    "--targets",
    type=int,
    default=10,
    show_default=True,
    help="For how many costs, from the cheapest network to the dearest, the heaviest architecture within is kept.",
)
@click.option(
    "--refine",
    type=int,
    default=200,
    show_default=True,
    help="Random architectures that are compared with the supernet's weights; 0 leaves it out.",
)
@click.option(
    "--truth",
    help="Data set of the table whose test accuracy counts, or 'supernet' for the supernet's own.  [default: the "
    "searched data set]",
)
@click.option("--table", type=click.Path(path_type=Path), help="Table of true accuracies.  [default: in --data-dir]")
@click.option(
    "--together/--apart",
    default=False,
    help="Search with the seeds as one compiled program, or one after the other.  [default: apart]",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a setting of all searches, for example search.epochs=20; `dnas settings` lists all of them.",
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    help="Folder of the trained supernets, which fronts of several devices can share.  [default: runs in --out]",
)
@click.option(
    "--out", type=click.Path(path_type=Path), help="Where it goes, or goes on.  [default: fronts/SPACE-HARDWARE-METRIC]"
)
def pareto(
    space: str,
    method: str,
    seeds: str,
    preset: str,
    data: str | None,
    data_dir: str | None,
    hardware: str | None,
    metric: str,
    targets: int,
    refine: int,
    truth: str | None,
    table: Path | None,
    together: bool,
    assignments: tuple[str, ...],
    runs: Path | None,
    out: Path | None,
) -> None:
    """Draw accuracy against cost: train one supernet for each seed and read the best networks for every budget off it.

    Accuracies are those of the space's table, or the supernet's own where there is none. Nothing is retrained:
    `dnas train OUT/genotypes/NNN.json` trains a point. The same command goes on where it was stopped. Results are
    front.html, front.csv and front.json.

    \b
    Examples:
      dnas pareto --hardware raspi4 --data-dir ~/data
      dnas pareto --hardware raspi4 --metric params --targets 20 --data-dir ~/data
      dnas pareto --space darts --preset tiny --metric macs
    """
    from dnas.pareto import pareto as draw
    from dnas.pareto.outputs import tables, verdict
    from dnas.run.console import Screen
    from dnas.study.request import parse_seeds

    words = (space, Path(hardware).stem if hardware else "", metric)
    name = "-".join("".join(c if c.isalnum() else "-" for c in word) for word in words if word)
    root = out or Path("fronts") / name
    screen = Screen()
    front = draw(
        space,
        method,
        parse_seeds(seeds),
        root,
        hardware=hardware,
        metric=metric,
        targets=targets,
        refine=refine,
        data=data,
        preset=preset,
        settings=assignments,
        truth=truth,
        table=table,
        together=together,
        data_dir=data_dir,
        runs=runs,
        command=command_line(),
        screen=screen,
    )
    screen.table(tables(front))
    screen.say(f"{verdict(front)}.")
    screen.say(f"page: {root / 'front.html'}")
