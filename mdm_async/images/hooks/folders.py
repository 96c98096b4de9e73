"""The folder that a hook may write to, gone again: however much it has left there, and however deep."""

import os
from itertools import count
from pathlib import Path

import structlog

_log = structlog.get_logger()


def remove(folder: Path) -> None:
    """What cannot be removed is told in the log. It may take long; nothing writes to it any more."""
    try:
        _remove(folder)
    except OSError as why:
        _log.warning("a hook's folder cannot be removed", folder=str(folder), reason=why.strerror)


def _remove(folder: Path) -> None:
    # Not by recursion: what a hook has nested may be deeper than Python's stack, and longer than a path can be. Each
    # folder comes up to the first before it is looked into.
    names = (folder / f".mdm-{number}" for number in count())
    waiting = [folder]
    while waiting:
        place = waiting.pop()
        place.chmod(0o700)
        inside = []
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    inside.append(entry.path)
                else:
                    os.unlink(entry.path)  # noqa: PTH108 - there may be millions
        for path in inside:
            os.chmod(path, 0o700)  # noqa: PTH101 - as above
            above = next(name for name in names if not name.exists())
            waiting.append(Path(path).rename(above))
        if place != folder:
            place.rmdir()
    folder.rmdir()
