"""The reference of the command line: what `--help` says, for every command."""

from collections.abc import Iterator

import click
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from dnas.cli.main import cli

PATH = "reference/command-line.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page."""
    parts = ["# Command line", *(part for entry in commands(cli, "dnas") for part in entry), ""]
    files.append(File.generated(config, PATH, content="\n\n".join(parts)))
    return files


def commands(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[tuple[str, str]]:
    """Yield a heading and the help of a command, then of its own commands."""
    context = click.Context(command, info_name=name, parent=parent, max_content_width=100, terminal_width=100)
    yield f"## {context.command_path}", f"```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for word in command.list_commands(context):
            yield from commands(command.commands[word], word, context)
