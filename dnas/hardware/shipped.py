"""The profiles that come with the library, and whatever else a user names as hardware."""

from importlib import resources
from pathlib import Path

from dnas.errors import UserError, unknown
from dnas.hardware.model import Profile
from dnas.hardware.profile_file import read_profile

FOLDER = "profiles"
SUFFIX = ".json"


def shipped() -> tuple[str, ...]:
    """Return the names of the shipped profiles, in alphabetical order."""
    folder = resources.files("dnas.hardware") / FOLDER
    return tuple(sorted(file.name.removesuffix(SUFFIX) for file in folder.iterdir() if file.name.endswith(SUFFIX)))


def find(name: str | Path) -> Profile:
    """Return the profile of a shipped name, or else of a file.

    Raises:
        UserError: if there is neither, or the file is no profile.
    """
    known = shipped()
    if str(name) in known:
        with resources.as_file(resources.files("dnas.hardware") / FOLDER / f"{name}{SUFFIX}") as path:
            return read_profile(path)
    path = Path(name).expanduser()
    if path.suffix == SUFFIX or path.is_file():
        return read_profile(path)
    error = unknown("hardware", str(name), known)
    raise UserError(f"{error}; or name the file of a profile, NAME{SUFFIX}")
