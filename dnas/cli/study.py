"""`dnas study`."""

from pathlib import Path

import click

from dnas.cli.options import command_line


@click.command()
@click.option("--space", default="nasbench201", show_default=True, help="Search space, or package.module:function.")
@click.option(
    "--methods",
    default="darts",
    show_default=True,
    help="Methods, separated by commas; METHOD@NAME=VALUE gives one settings of its own.",
)
@click.option("--seeds", default="3", show_default=True, help="How many (5), or which (0,3,7).")
@click.option("--preset", default="small", show_default=True, help="Named set of settings: tiny, small or paper.")
@click.option("--data", help="Data set to search on: digits, cifar10, npz:FILE, folder:DIR.  [default: the preset's]")
@click.option("--data-dir", help="Folder of downloaded data sets.  [default: $DNAS_DATA]")
@click.option(
    "--truth",
    metavar="DATASET",
    help="Column of the table that counts, or 'retrain' to train what was found.  [default: the searched data set]",
)
@click.option("--table", type=click.Path(path_type=Path), help="Table of true accuracies.  [default: in --data-dir]")
@click.option(
    "--ranking",
    type=click.IntRange(min=0),
    default=100,
    show_default=True,
    help="Random architectures for the quality of the supernet's ranking; 0 leaves it out.",
)
@click.option(
    "--together/--apart",
    default=False,
    help="Run the seeds of a method as one compiled program, or one after the other.  [default: apart]",
)
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a setting of all runs, for example search.epochs=20; `dnas settings` lists all of them.",
)
@click.option(
    "--study-dir", type=click.Path(path_type=Path), help="Where it goes, or goes on.  [default: studies/SPACE-DATA]"
)
def study(
    space: str,
    methods: str,
    seeds: str,
    preset: str,
    data: str | None,
    data_dir: str | None,
    truth: str | None,
    table: Path | None,
    ranking: int,
    together: bool,
    assignments: tuple[str, ...],
    study_dir: Path | None,
) -> None:
    """Compare methods over seeds against the truth: a table of the space's true accuracies, or retraining.

    Each method and seed is a run directory of its own. The same command goes on where it was stopped, and more
    methods or seeds extend the study. Results are study.html, study.csv and study.json.

    \b
    Examples:
      dnas study --data-dir ~/data
      dnas study --methods darts,darts@search.alpha_lr=0.0003 --seeds 5 --data-dir ~/data
      dnas study --preset tiny --truth retrain
    """
    from dnas.run.console import Screen
    from dnas.study.outputs import tables, verdict
    from dnas.study.request import Request, parse_arms, parse_seeds, split_methods
    from dnas.study.run import run

    request = Request(
        space=space,
        arms=parse_arms(split_methods(methods, space)),
        seeds=parse_seeds(seeds),
        data=data,
        preset=preset,
        assignments=assignments,
        truth=truth,
        table=table,
        ranking=ranking,
        together=together,
        data_dir=data_dir,
    )
    first = request.config(request.arms[0], request.seeds[0], retrained=True)
    root = study_dir or Path("studies") / "".join(c if c.isalnum() else "-" for c in f"{space}-{first.data}").strip("-")
    screen = Screen()
    made = run(request, root, screen, command_line())
    screen.table(tables(made))
    screen.say(verdict(made))
    screen.say(f"page: {root / 'study.html'}")
