"""`mdm pacs stage|release`: images brought from their archives, shown while they come; and let go."""

import re
from collections.abc import Sequence
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mdm_async.cli.connection import client_of
from mdm_async.cli.options import Json
from mdm_async.cli.output import (
    about,
    complain,
    end,
    error_json,
    on_interrupt,
    print_json,
    print_line,
    stderr_console,
)
from mdm_async.cli.pacs.options import Study
from mdm_async.cli.settled import settled
from mdm_async.client.client import Client
from mdm_async.client.one_or_many import Outcome
from mdm_async.errors import BadRequest

_ARCHIVE: Final = re.compile("[a-z][a-z0-9_-]{0,62}")


def register(group: typer.Typer) -> None:
    group.command()(stage)
    group.command()(release)


def stage(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="NAME|LFN…", show_default=False)],
    study: Study = None,
    path: Annotated[
        str | None, typer.Option(help="Only what is below this directory.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Have files brought from their archives: those of one archive, or files by their names, of a directory all that is
    below it. Ends when they are here.

    Example: `mdm pacs stage hospital --study 1.2.840.99.1` or `mdm pacs stage /pacs/hospital/MDM4T7QZ`
    """
    archive = names[0] if len(names) == 1 and _ARCHIVE.fullmatch(names[0]) else None
    if archive is None and (study is not None or path is not None):
        raise BadRequest("--study and --path are of one archive", remedy="name it: mdm pacs status")
    console = stderr_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())

    async def work(progress: Progress) -> dict[str, None]:
        async with client_of(context) as client:
            if archive is not None:
                files = await _files_of(client, archive, study, path)
            else:
                files = await files_below(client, names)
            task = progress.add_task("online", total=len(files))
            await client.archives.stage(files, on_online=lambda count: progress.advance(task, count))
            return dict.fromkeys(files)

    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
        on_interrupt("what has come stays", "run it again: it waits for the rest"),
    ):
        outcomes = settled(work(progress))
    for outcome in outcomes:
        if outcome.error is not None:
            complain(outcome.error, outcome.name)
    if json:
        print_json({"files": _told(outcomes)})
    else:
        online = sum(outcome.error is None for outcome in outcomes)
        print_line(f"{online} of {len(outcomes)} files are online")
        if archive is not None and not outcomes:
            of_what = "that study" if study is not None else "it" if path is None else "it there"
            print_line(f"{archive}: nothing is registered of {of_what}, or all of it is here")
    end(outcome.error for outcome in outcomes)


def release(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="LFN…", show_default=False)],
    json: Json = False,
) -> None:
    """End all pins that you hold on files, of a directory on all below it: what was staged may leave the cache.

    Transfers of yours that go on end, too. Others' pins stay: mdm cache status.

    Example: `mdm pacs release /pacs/hospital/MDM4T7QZ`
    """

    async def work() -> dict[str, None]:
        async with client_of(context) as client:
            files = await files_below(client, names)
            await client.archives.release(files)
            return dict.fromkeys(files)

    outcomes = settled(work())
    for outcome in outcomes:
        if outcome.error is not None:
            complain(outcome.error, outcome.name)
    if json:
        print_json({"files": _told(outcomes)})
    else:
        print_line(
            f"{sum(outcome.error is None for outcome in outcomes)} of {len(outcomes)} files are released"
        )
    end(outcome.error for outcome in outcomes)


def _told(outcomes: Sequence[Outcome[None]]) -> list[dict[str, Any]]:
    return [
        {"path": one.name} | ({"error": error_json(one.error)} if one.error is not None else {})
        for one in outcomes
    ]


async def _files_of(client: Client, archive: str, study: str | None, path: str | None) -> list[str]:
    below = path.rstrip("/") + "/" if path is not None else "/"
    if path is not None:
        with about(path):
            await client.stat(path)
    with about(archive):
        return [one async for one in client.archives.files(archive, study=study) if one.startswith(below)]


async def files_below(client: Client, names: list[str]) -> list[str]:
    """Those that are named, and all that are below directories."""
    files: dict[str, None] = {}
    for name in names:
        with about(name):
            if not (await client.stat(name)).is_directory:
                files[name] = None
                continue
            async for entry in client.walk(name):
                if not entry.is_directory:
                    files[entry.path] = None
    return list(files)
