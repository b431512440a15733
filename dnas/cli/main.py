"""The command `dnas` and how its errors reach the user: one sentence, exit code 2, no traceback."""

import difflib
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
import jax

from dnas.cli.data import data
from dnas.cli.export import export
from dnas.cli.methods import methods
from dnas.cli.pareto import pareto
from dnas.cli.profile import profile
from dnas.cli.report import report
from dnas.cli.search import search
from dnas.cli.settings import list_settings
from dnas.cli.study import study
from dnas.cli.train import train
from dnas.errors import UserError, reason
from dnas.hardware.fit_command import fit_profile
from dnas.run.interrupt import Interrupted
from dnas.run.phase import Diverged

_CACHE = "JAX_COMPILATION_CACHE_DIR"


class _Group(click.Group):
    """A group whose unknown commands suggest the nearest one."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise click.UsageError(f"unknown command {name!r}: {hint}(known: {', '.join(self.list_commands(ctx))})")
        return super().resolve_command(ctx, args)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="dnas")
def cli() -> None:
    """Differentiable neural architecture search in JAX.

    \b
    Examples:
      dnas search                            search on small digits, retrain, report: minutes on a CPU
      dnas search --data folder:my_images    the same on your own images
      dnas train DARTS_V2 --data cifar10     train a published architecture
    """


for _command in (search, study, pareto, train, report, export, profile, data, methods, list_settings):
    cli.add_command(_command)
cli.add_command(fit_profile, "fit-profile")


def main(argv: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 bad input, 130 or 143 interrupted."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _cache_compilations()
    try:
        cli.main(args=list(argv) if argv is not None else None, prog_name="dnas", standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        _fail(_sentence(error), 2)
    except UserError as error:
        _fail(str(error), 2)
    except Diverged as error:
        _fail(str(error), 1)
    except Interrupted as stop:
        sys.exit(stop.code)
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
            raise
        _fail(f"cannot write {str(error.filename or 'a file')!r} ({reason(error)}): free disk space or permissions", 2)
    sys.exit(0)


def _sentence(error: click.ClickException) -> str:
    message = error.format_message().rstrip(".")
    if isinstance(error, click.NoSuchOption):
        names = sorted(error.possibilities or [])
        message = f"unknown option {error.option_name!r}" + (f": did you mean {names[0]!r}?" if names else "")
    context = getattr(error, "ctx", None)
    where = f" (see {context.command_path} --help)" if context else ""
    return " ".join(message.split()) + where


def _fail(message: str, code: int) -> None:
    click.echo(f"dnas: error: {message}", err=True)
    sys.exit(code)


def _cache_compilations() -> None:
    """Keep compiled programs between processes, in the user's cache folder unless JAX is told of another."""
    if _CACHE in os.environ:
        return
    base = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    # JAX has read its variables when it was imported.
    jax.config.update("jax_compilation_cache_dir", str(base / "dnas" / "compiled"))
