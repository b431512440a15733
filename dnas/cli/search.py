"""`dnas search`."""

from pathlib import Path
from typing import Any

import click

from dnas.cli.options import Where, default_directory, hardware_options, refuse_with_resume, run_options


@click.command()
@click.option("--space", help="Search space, or package.module:function, which returns your own.  [default: darts]")
@click.option("--method", help="Search method.  [default: darts]")
@click.option("--baseline", type=int, help="Random architectures to train for comparison.  [default: the preset's]")
@hardware_options
@run_options
def search(
    space: str | None,
    method: str | None,
    baseline: int | None,
    hardware: tuple[str, ...],
    limits: tuple[str, ...],
    objective: str | None,
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
    """Search for an architecture, retrain it, compare it with random ones and write a report.

    \b
    Examples:
      dnas search
      dnas search --preset small --data-dir ~/data
      dnas search --data npz:mine.npz --set search.epochs=30 --set space.channels=16
      dnas search --space nasbench201 --hardware raspi4 --limit latency=12ms --limit params=1M
      dnas search --devices all
      dnas search --resume runs/darts-digits-20260101-120000
    """
    from dnas.cli.execute import execute
    from dnas.run import config

    if resume:
        given: dict[str, Any] = {"space": space, "method": method, "baseline": baseline, "preset": preset, "data": data}
        given |= {"hardware": hardware, "limit": limits, "objective": objective}
        refuse_with_resume(
            resume, {**given, "seed": seed, "set": assignments, "run_dir": run_dir, "overwrite": overwrite}
        )
        execute(None, resume, data_dir, Where(**where), resume=True)
        return
    request = config.make(
        config.SEARCH,
        space=space or "darts",
        method=method or "darts",
        preset=preset or "tiny",
        data=data,
        seed=seed or 0,
        baseline=baseline,
        assignments=assignments,
        hardware=hardware,
        limits=limits,
        objective=objective,
    )
    path = run_dir or default_directory(request.method, request.data)
    execute(request, path, data_dir, Where(**where), overwrite=overwrite)
