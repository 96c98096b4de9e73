"""`mdm put`: DICOM files in."""

import functools
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.names.commands import is_a_directory
from mdm_async.cli.options import PARALLEL, Json, Parallel, Recursive
from mdm_async.cli.output import (
    end,
    error_json,
    in_words,
    on_interrupt,
    print_json,
    print_line,
    stderr_console,
)
from mdm_async.cli.transfer.side_by_side import Job, Meter, Outcome, meter_on, run_all
from mdm_async.client.client import Client
from mdm_async.client.upload import Uploaded
from mdm_async.errors import BadRequest, NotADirectory, NotFound
from mdm_async.names import Lfn, join, parse_lfn


def register(app: typer.Typer) -> None:
    app.command()(put)


@dataclass(frozen=True, slots=True)
class Plan:
    """What goes where, and the directories to make for it, each after its parent."""

    files: tuple[tuple[Path, Lfn], ...]
    directories: tuple[Lfn, ...] = ()


def put(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(metavar="PATH…", show_default=False)],
    lfn: Annotated[str, typer.Argument(metavar="LFN", show_default=False)],
    sealed: Annotated[
        bool, typer.Option("--sealed", help="Encrypt to the upload's own key before sending.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace what has the name.")] = False,
    recursive: Recursive = False,
    parents: Annotated[
        bool, typer.Option("--parents", "-p", help="Make the directories that are missing.")
    ] = False,
    parallel: Parallel = PARALLEL,
    json: Json = False,
) -> None:
    """Store DICOM files; into LFN when it is a directory or there are several.

    Example: `mdm put -r ~/study-1 /demo`
    """

    async def work() -> list[Outcome[Uploaded]]:
        async with client_of(context) as client:
            plan = await plan_uploads(client, paths, lfn, recursive=recursive, parents=parents)
            with meter_on(stderr_console()) as meter:
                how = {"sealed": sealed, "overwrite": overwrite, "parents": parents}
                return await put_all(client, plan, meter, how, parallel=parallel)

    with on_interrupt(
        "files that were through are stored, and nothing of others", "the same command stores the rest too"
    ):
        outcomes = complete(work())
    if json:
        print_json({"files": [uploaded_json(outcome) for outcome in outcomes]})
    else:
        for outcome in outcomes:
            if outcome.result is not None:
                stored = outcome.result
                print_line(f"{stored.path}  {in_words(stored.size)}  adler32 {stored.adler32}")
    end(outcome.error for outcome in outcomes)


async def plan_uploads(
    client: Client, paths: Sequence[Path], lfn: str, *, recursive: bool, parents: bool = False
) -> Plan:
    """As `cp` would: names below LFN when it is a directory, ends with '/', or there are several paths.

    NotFound for a path that is not there, BadRequest for a folder without `recursive`, NotADirectory when
    several should go to what is no directory; with `parents` that is made.
    """
    target = parse_lfn(lfn)
    for path in paths:
        if not path.exists():
            raise NotFound(f"{path}: no such file or directory")
        if path.is_dir() and not recursive:
            raise BadRequest(f"{path} is a folder", remedy="give -r to put all that is in it")
    into = await is_a_directory(client, target)
    if not into and (len(paths) > 1 or (lfn.endswith("/") and not paths[0].is_dir())):
        if not parents:
            raise NotADirectory(
                f"{target} is not a directory", remedy="make it with `mdm mkdir -p`, or give -p"
            )
        into = True
    files: list[tuple[Path, Lfn]] = []
    directories: list[Lfn] = []
    for path in paths:
        place = join(target, path.resolve().name) if into else target
        if path.is_dir():
            for below, below_lfn in walk_folder(path, place):
                if below.is_dir():
                    directories.append(below_lfn)
                else:
                    files.append((below, below_lfn))
        else:
            files.append((path, place))
    return Plan(tuple(files), tuple(directories))


def walk_folder(folder: Path, lfn: Lfn) -> Iterator[tuple[Path, Lfn]]:
    """The folder and all below it, parents first, by name; links to folders are not followed."""
    yield folder, lfn
    for path in sorted(folder.iterdir()):
        place = parse_lfn(join(lfn, path.name))
        if path.is_dir() and not path.is_symlink():
            yield from walk_folder(path, place)
        elif path.is_file():
            yield path, place


async def put_all(
    client: Client, plan: Plan, meter: Meter, how: dict[str, bool], *, parallel: int
) -> list[Outcome[Uploaded]]:
    """Make the directories, then send all files, `parallel` at a time."""
    for directory in plan.directories:
        await client.mkdir(directory, parents=True)

    async def jobs() -> AsyncIterator[Job[Uploaded]]:
        for path, lfn in plan.files:
            send = functools.partial(_send, client, path, lfn, how)
            yield Job(str(path), _size(path), send)

    return await run_all(jobs(), parallel=parallel, meter=meter)


def _size(path: Path) -> int | None:
    """For the meter; that the file is gone is told when it is sent."""
    try:
        return path.stat().st_size
    except OSError:
        return None


async def _send(client: Client, path: Path, lfn: Lfn, how: dict[str, bool], on_bytes: Any) -> Uploaded:
    return await client.put(path, lfn, on_bytes=on_bytes, **how)


def uploaded_json(outcome: Outcome[Uploaded]) -> dict[str, Any]:
    """One file of `--json`."""
    if outcome.error is not None:
        return {"source": outcome.name, "error": error_json(outcome.error)}
    stored = outcome.result
    assert stored is not None
    return {
        "source": outcome.name,
        "path": stored.path,
        "guid": stored.guid,
        "size": stored.size,
        "adler32": stored.adler32,
        "sealed": stored.sealed,
    }
