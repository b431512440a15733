"""Packages that only an export needs."""

import importlib.util

from dnas.errors import UserError


def require(*packages: str) -> None:
    """Raise `UserError`, with the command that installs it, if one of these packages cannot be imported."""
    missing = [name for name in packages if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"this export needs the package {missing[0]}, which is not installed: pip install 'dnas[export]'"
        )
