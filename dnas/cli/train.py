"""`dnas train`."""

from pathlib import Path
from typing import Any

import click

from dnas.cli.options import Where, default_directory, refuse_with_resume, run_options
from dnas.errors import UserError


@click.command()
@click.argument("genotype", required=False)
@click.option("--space", help="Search space that the genotype belongs to.  [default: the genotype's own]")
@run_options
def train(
    genotype: str | None,
    space: str | None,
    preset: str | None,
    data: str | None,
    data_dir: str | None,
    seed: int | None,
    assignments: tuple[str, ...],
    run_dir: Path | None,
    resume: Path | None,
    overwrite: bool,
    **where: Any,
) -> None:
    """Train one architecture: GENOTYPE is a file (genotype.json of a run) or what its space
    calls it: a published name such as DARTS_V2, or a NAS-Bench-201 string or index.

    \b
    Examples:
      dnas train runs/NAME/genotype.json --data digits
      dnas train DARTS_V2 --preset paper --data-dir ~/data
      dnas train 6111 --space nasbench201 --data digits
      dnas train --resume runs/train-DARTS-V2-20260101-120000
    """
    from dnas import plugins
    from dnas.cli.execute import execute
    from dnas.genotype import load
    from dnas.run import config

    if resume:
        given: dict[str, Any] = {"genotype": genotype, "space": space, "preset": preset, "data": data, "seed": seed}
        refuse_with_resume(resume, {**given, "set": assignments, "run_dir": run_dir, "overwrite": overwrite})
        execute(None, resume, data_dir, Where(**where), resume=True)
        return
    if genotype is None:
        raise UserError(
            "dnas train needs a GENOTYPE: a file such as runs/NAME/genotype.json, or a name such as DARTS_V2"
        )
    is_file = Path(genotype).exists() or genotype.endswith(".json") or "/" in genotype
    module = plugins.find(plugins.SPACES, "space", space or "darts")
    architecture = load(genotype) if is_file else module.named(genotype)
    request = config.make(
        config.TRAIN,
        space=space or architecture.space,
        method="darts",
        preset=preset or "tiny",
        data=data,
        seed=seed or 0,
        baseline=0,
        assignments=assignments,
        genotype=architecture,
    )
    name = Path(genotype).parent.name or Path(genotype).stem if is_file else genotype
    path = run_dir or default_directory("train", name)
    execute(request, path, data_dir, Where(**where), overwrite=overwrite)
