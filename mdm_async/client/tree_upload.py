"""Many files sent to a directory: planned as `cp` would, directories made first, files sent side by side."""

import functools
import os
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mdm_async.client.one_or_many import Outcome
from mdm_async.client.progress import OnBytes
from mdm_async.client.side_by_side import Job, Meter, run_all
from mdm_async.client.upload import Uploaded
from mdm_async.errors import BadRequest, NotADirectory, NotFound
from mdm_async.names import Lfn, join, parse_lfn, split

if TYPE_CHECKING:
    from mdm_async.client.client import Client

Folders = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""Files and folders of this machine: one, or many."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes where, and the directories to make for it, each after its parent."""

    files: tuple[tuple[Path, Lfn], ...]
    directories: tuple[Lfn, ...] = ()


@dataclass(frozen=True, slots=True)
class Sending:
    """How the files are sent: as of `Client.put`."""

    sealed: bool
    overwrite: bool
    parents: bool
    force: bool


async def put_all(
    client: "Client",
    sources: Folders,
    target: str,
    how: Sending,
    *,
    recursive: bool,
    parallel: int,
    meter: Meter | None,
) -> list[Outcome[Uploaded]]:
    """Send files, and with `recursive` folders, to below `target`; see `plan_uploads`."""
    client.wire.demand_named("an image")
    paths = [Path(sources)] if isinstance(sources, str | os.PathLike) else [Path(each) for each in sources]
    plan = await plan_uploads(client, paths, target, recursive=recursive, parents=how.parents)
    for directory in plan.directories:
        await client.mkdir(directory, parents=True)

    async def jobs() -> AsyncIterator[Job[Uploaded]]:
        for path, lfn in plan.files:
            yield Job(str(path), _size(path), functools.partial(_send, client, path, lfn, how))

    return await run_all(jobs(), parallel=parallel, meter=meter)


async def plan_uploads(
    client: "Client", paths: list[Path], target: str, *, recursive: bool, parents: bool = False
) -> Plan:
    """As `cp` would: names below the target when it is a directory, ends with '/', or there are several paths.

    NotFound for a path that is not there, BadRequest for a folder without `recursive`, NotADirectory when several
    should go to what is no directory, or a folder to below what is not there; with `parents` that is made.
    """
    lfn = parse_lfn(target)
    for path in paths:
        if not path.exists():
            raise NotFound(f"{path}: no such file or directory")
        if path.is_dir() and not recursive:
            raise BadRequest(f"{path} is a folder", remedy="give -r to put all that is in it")
    into = await is_a_directory(client, lfn)
    if not into and (len(paths) > 1 or (target.endswith("/") and not paths[0].is_dir())):
        if not parents:
            raise _no_directory(lfn)
        into = True
    elif not into and not parents and paths[0].is_dir() and not await is_a_directory(client, split(lfn)[0]):
        raise _no_directory(split(lfn)[0])
    files: list[tuple[Path, Lfn]] = []
    directories: list[Lfn] = []
    for path in paths:
        place = join(lfn, path.resolve().name) if into else lfn
        if path.is_dir():
            for below, below_lfn in walk_folder(path, place):
                if below.is_dir():
                    directories.append(below_lfn)
                else:
                    files.append((below, below_lfn))
        else:
            files.append((path, place))
    return Plan(tuple(files), tuple(directories))


async def is_a_directory(client: "Client", path: str) -> bool:
    """False too when there is nothing of that name."""
    try:
        return (await client.stat(path)).is_directory
    except NotFound:
        return False


def walk_folder(folder: Path, lfn: Lfn) -> Iterator[tuple[Path, Lfn]]:
    """The folder and all below it, parents first, by name; links to folders are not followed."""
    yield folder, lfn
    for path in sorted(folder.iterdir()):
        place = parse_lfn(join(lfn, path.name))
        if path.is_dir() and not path.is_symlink():
            yield from walk_folder(path, place)
        elif path.is_file():
            yield path, place


def _no_directory(lfn: Lfn) -> NotADirectory:
    return NotADirectory(f"{lfn} is not a directory", remedy="make it with `mdm mkdir -p`, or give -p")


def _size(path: Path) -> int | None:
    """For the meter; that the file is gone is told when it is sent."""
    try:
        return path.stat().st_size
    except OSError:
        return None


async def _send(client: "Client", path: Path, lfn: Lfn, how: Sending, on_bytes: OnBytes) -> Uploaded:
    return await client.put(
        path,
        lfn,
        sealed=how.sealed,
        overwrite=how.overwrite,
        parents=how.parents,
        force=how.force,
        on_bytes=on_bytes,
    )
