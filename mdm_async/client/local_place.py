"""Where on this machine a file goes that is pulled."""

import os
from pathlib import Path

from mdm_async.errors import MdmError, NotADirectory, WrongContent
from mdm_async.names import Lfn


def place_below(folder: Path, root: Lfn, path: Lfn) -> Path:
    """Where an entry's file goes. WrongContent for a path that is not below what was asked for: what a server
    lists must not choose where this machine writes."""
    if path == root:  # Not a directory after all.
        return folder / path.rpartition("/")[2]
    below = path.removeprefix(root.rstrip("/") + "/")
    if below == path or any(part in ("", ".", "..") for part in below.split("/")):
        raise WrongContent("the server listed a name outside the directory")
    return folder.joinpath(*below.split("/"))


def place_of(name: str, target: str | os.PathLike[str]) -> Path:
    """The file to write: `target`, or the image's own name in it when it is a folder.

    NotADirectory where a folder is meant that is not there: one that ends with '/'.
    """
    place = Path(target)
    if place.is_dir():
        return place / name.rpartition("/")[2]
    if os.fspath(target).endswith(os.sep):
        raise NotADirectory(f"the folder {place} does not exist", remedy="make it, or leave out the '/'")
    return place


def make_folder(folder: Path, *, parents: bool = False) -> None:
    """NotADirectory, rather than make those above it unasked: a mistyped folder must not come into being."""
    try:
        folder.mkdir(parents=parents, exist_ok=True)
    except (FileNotFoundError, NotADirectoryError):
        raise NotADirectory(
            f"the folder {folder.parent} does not exist", remedy="make it with mkdir"
        ) from None
    except OSError as why:
        raise MdmError(f"the folder {folder} cannot be made: {why.strerror}") from None
