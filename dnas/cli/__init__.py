"""The command line: thin, it parses, calls and prints."""

from dnas.cli.main import main

__all__ = ["main"]
