"""`dnas settings`."""

import click
from rich.console import Console
from rich.table import Table

PIPED = 200
"""Columns of a table that goes into a file or another program."""


@click.command(name="settings")
@click.option("--space", default="darts", show_default=True, help="Search space, or package.module:function.")
@click.option("--method", default="darts", show_default=True, help="Search method.")
@click.option("--objective", help="Objective of a search with limits, whose settings are listed too.")
@click.argument("words", nargs=-1)
def list_settings(space: str, method: str, objective: str | None, words: tuple[str, ...]) -> None:
    """List every setting with its type, its published default and its value in each preset; WORDS filter by name.

    \b
    Examples:
      dnas settings
      dnas settings epochs
    """
    from dnas import plugins
    from dnas.errors import UserError
    from dnas.run import config
    from dnas.run.settings import kind_name

    module = plugins.find(plugins.SPACES, "space", space)
    presets = {name: chosen for name, chosen in module.PRESETS.items() if set(chosen) - {"data", "baseline"}}
    table = Table(caption="where a preset says nothing, the default holds")
    for column in ("setting", "type", "default", *presets, "meaning"):
        whole, least = column in ("setting", "type"), 24 if column == "meaning" else None
        table.add_column(column, no_wrap=whole, overflow="fold", min_width=least)
    for name, setting in sorted(config.setting_table(module, config.method_of(method), objective).items()):
        if all(word in name for word in words):
            own = [_text(chosen[name]) if name in chosen else "" for chosen in presets.values()]
            table.add_row(name, kind_name(setting.kind), _text(setting.default), *own, setting.help)
    if not table.row_count:
        raise UserError(f"no setting matches {' '.join(words)!r}: dnas settings lists all of them")
    console = Console()
    (console if console.is_terminal else Console(width=PIPED)).print(table)


def _text(value: object) -> str:
    return (
        ",".join(map(str, value)) if isinstance(value, tuple) else str(value).lower() if value is None else str(value)
    )
