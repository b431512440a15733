"""The command line of the benchmark: it parses, calls and prints."""

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from dnas.bench.equality import Equality, Unequal
from dnas.bench.points import PARTS
from dnas.bench.request import DEFAULT_CASES, DTYPES, Request, tasks
from dnas.bench.rivals import LAYOUTS, torch_rivals
from dnas.bench.timing import Effort
from dnas.errors import UserError


class Words(click.ParamType):
    """Values with commas between them."""

    name = "list"

    def __init__(self, kind: type, options: Sequence[str] = ()) -> None:
        self.kind, self.options = kind, options

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the values as a tuple."""
        if isinstance(value, tuple):
            return value
        words = [word.strip() for word in str(value).split(",") if word.strip()]
        try:
            found = tuple(self.kind(word) for word in words)
        except ValueError:
            self.fail(f"expected whole numbers with commas between them, got {value!r}", param, ctx)
        if not found or any(self.options and word not in self.options for word in found):
            self.fail(f"expected some of {', '.join(self.options) or 'a list'}, got {value!r}", param, ctx)
        return found


@click.command(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--case",
    "cases",
    type=Words(str),
    default=",".join(DEFAULT_CASES),
    show_default=True,
    help="Supernets of search spaces, and 'derived', the network DARTS_V2.",
)
@click.option("--parts", type=Words(str, PARTS), default=",".join(PARTS), show_default=True, help="What is run.")
@click.option("--batch", "batches", type=Words(int), help="Images in a minibatch.  [default: 16]")
@click.option("--channels", type=Words(int), help="Channels of the first cells.  [default: each case's own]")
@click.option("--dtype", "dtypes", type=Words(str, DTYPES), help="float32, bfloat16.  [default: float32]")
@click.option("--sweep", is_flag=True, help="Grow the batch from 16 to 256, and the channels from half to twice.")
@click.option("--image", type=int, default=32, show_default=True, help="Height and width of the images.")
@click.option("--method", default="darts", show_default=True, help="Search method whose step is measured.")
@click.option(
    "--set",
    "assignments",
    multiple=True,
    metavar="NAME=VALUE",
    help="Change a setting, for example space.cells=5 (of supernets) or retrain.cells=8 (of derived).",
)
@click.option(
    "--variant",
    "variants",
    multiple=True,
    metavar="NAME=VALUE[,...]",
    help="Measure the same with other settings beside it; NAME may also be 'method'.",
)
@click.option("--against", type=click.Choice(["torch"]), help="Compare with the same networks in PyTorch.")
@click.option(
    "--layouts",
    type=Words(str, LAYOUTS),
    default=",".join(LAYOUTS),
    show_default=True,
    help="Memory layouts of PyTorch.",
)
@click.option(
    "--compile/--no-compile", "compiled", default=None, help="Whether torch.compile takes part.  [default: on a GPU]"
)
@click.option(
    "--preparation/--no-preparation",
    default=True,
    show_default=True,
    help="Whether tracing and compiling are measured, in processes of their own.",
)
@click.option(
    "--seconds",
    type=click.FloatRange(min=0),
    default=5.0,
    show_default=True,
    help="How long each contender runs, at least.",
)
@click.option("--rounds", type=click.IntRange(min=1), default=5, show_default=True, help="Rounds, at least.")
@click.option("--out", type=click.Path(path_type=Path), help="Folder of the results.  [default: runs/bench-...]")
@click.option("--overwrite", is_flag=True, help="Replace results in --out.")
def bench(**chosen: Any) -> None:
    """Measure what search steps and networks cost, and how that compares.

    Tracing, compiling (with and without the persistent cache), time, temporary memory, images per second, and
    multiply-adds as a share of the machine's own matrix-product peak. All contenders run in turn in every round. If
    the machine is busy with something else, compare on one core: taskset -c 0 scripts/bench. Results are bench.json
    and bench.svg.

    \b
    Examples:
      scripts/bench
      scripts/bench --case darts --parts step --set space.cells=5
      scripts/bench --case darts,nasbench201 --parts forward_backward --batch 64 --against torch
      scripts/bench --sweep --dtype float32,bfloat16 --seconds 20
      scripts/bench --case darts --variant space.dtype=bfloat16 --no-preparation

    \b
    On a GPU such as an H100 (JAX and PyTorch with CUDA):
      scripts/bench --against torch --dtype bfloat16 --batch 64,256 --parts forward_backward,step --out runs/h100
    """
    from dnas.bench.machine import on_gpu
    from dnas.bench.measure import Plan
    from dnas.bench.run import JSON, check_folder, run
    from dnas.bench.table import tables as shown
    from dnas.cli.options import default_directory
    from dnas.run.console import Screen

    out = chosen["out"] or default_directory("bench")
    check_folder(out, chosen["overwrite"])
    rivals = None
    if chosen["against"]:
        compiled = on_gpu() if chosen["compiled"] is None else chosen["compiled"]
        rivals = torch_rivals(chosen["layouts"], compiled)
    request = Request(
        cases=chosen["cases"],
        batches=chosen["batches"] or (),
        channels=chosen["channels"] or (),
        dtypes=chosen["dtypes"] or (),
        **{name: chosen[name] for name in ("sweep", "image", "method", "assignments", "variants")},
    )
    equality = Equality(rivals) if rivals else None
    effort = Effort(chosen["seconds"], chosen["rounds"])
    plan = Plan(chosen["parts"], effort, chosen["preparation"], equality)
    wanted = tasks(request)
    if rivals:
        rivals.require(task.point.case for task in wanted)
    screen = Screen()
    result = run(wanted, plan, out, screen, shlex.join(["scripts/bench", *sys.argv[1:]]))
    screen.table(shown(result))
    screen.say(f"results: {out / JSON}")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the benchmark and exit: 0 done, 1 not comparable, 2 bad input, 130 interrupted."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # By default the first process takes most of a GPU's memory for itself, and here several share one.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    try:
        bench.main(args=list(argv) if argv is not None else None, prog_name="scripts/bench", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        _fail(" ".join(error.format_message().rstrip(".").split()) + " (see scripts/bench --help)", 2)
    except UserError as error:
        _fail(str(error), 2)
    except Unequal as error:
        _fail(str(error), 1)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(130)
    sys.exit(0)


def _fail(message: str, code: int) -> None:
    click.echo(f"bench: error: {message}", err=True)
    sys.exit(code)
