"""`mdm ls|stat|mkdir|rm|mv`: names and what is known of them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.files_from import FilesFrom, all_names, names_in
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, complain, end, error_json, print_json, print_line, stderr_console
from mdm_async.cli.settled import settled
from mdm_async.client.client import Client
from mdm_async.client.entry import Entry
from mdm_async.client.listing import PAGE
from mdm_async.client.one_or_many import Outcome, settle
from mdm_async.client.tree_upload import is_a_directory
from mdm_async.errors import MdmError, NotADirectory
from mdm_async.names import Lfn, join, parse_lfn, split

Lfns = Annotated[list[str] | None, typer.Argument(metavar="LFN…", show_default=False)]


def register(app: typer.Typer) -> None:
    for command in (ls, stat, mkdir, rm, mv):
        app.command()(command)


def ls(
    context: typer.Context,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[LFN…]", help="Default: /", show_default=False)
    ] = None,
    long: Annotated[bool, typer.Option("--long", "-l", help="Size, time, checksum, view.")] = False,
    files_from: FilesFrom = None,
    json: Json = False,
) -> None:
    """List a directory.

    Example: `mdm ls -l /demo`
    """
    paths = [*(names or []), *names_in(files_from)] or ["/"]

    async def work() -> dict[str, list[Entry]]:
        listed: dict[str, list[Entry]] = {}
        failed: dict[str, MdmError] = {}
        async with client_of(context) as client:
            with counting(quiet=sys.stdout.isatty() and not json) as tell:
                for path in paths:
                    listed[path] = []
                    if len(paths) > 1 and not json:
                        print_line(f"{path}:")
                    try:
                        await show(client, path, listed[path], tell)
                    except MdmError as error:
                        if len(paths) == 1:
                            raise
                        failed[path] = error
                        complain(error, path)
        return settle([], [Outcome(path, entries, failed.get(path)) for path, entries in listed.items()])

    async def show(client: Client, path: str, listed: list[Entry], tell: Callable[[int], None]) -> None:
        count = 0
        async for entry in client.ls(path):
            if json:
                listed.append(entry)
            else:
                print_line(long_line(entry) if long else short_name(entry))
            count += 1
            if count % PAGE == 0:
                tell(count)

    with about(paths[0]):
        outcomes = settled(work())
    if json:
        print_json(
            [
                document
                for outcome in outcomes
                for document in (
                    [outcome_json(outcome.name, outcome.error)]
                    if outcome.error
                    else [entry.as_json() for entry in outcome.result or []]
                )
            ]
        )
    end(outcome.error for outcome in outcomes)


def stat(
    context: typer.Context, names: Lfns = None, files_from: FilesFrom = None, json: Json = False
) -> None:
    """Show all that is known of names, or of GUIDs such as guid:3f2504e0-4f89-41d3-9a0c-0305e82c3301.

    Example: `mdm stat /demo/CT_small.dcm`
    """
    paths = all_names(names, files_from)

    async def work() -> dict[str, Entry]:
        async with client_of(context) as client:
            return await client.stat_all(paths)

    outcomes = settled(work())
    for outcome in outcomes:
        if outcome.error is not None:
            complain(outcome.error, outcome.name)
    if json:
        print_json(
            [
                outcome_json(outcome.name, outcome.error)
                if outcome.result is None
                else outcome.result.as_json()
                for outcome in outcomes
            ]
        )
    else:
        for entry in (outcome.result for outcome in outcomes if outcome.result is not None):
            for name, value in entry.as_json().items():
                print_line(f"{name:>12}: {value}")
    end(outcome.error for outcome in outcomes)


def mkdir(
    context: typer.Context,
    names: Annotated[list[str], typer.Argument(metavar="LFN…", show_default=False)],
    parents: Annotated[
        bool, typer.Option("--parents", "-p", help="Make what is missing above; fine if it is there.")
    ] = False,
    json: Json = False,
) -> None:
    """Make directories.

    Example: `mdm mkdir -p /demo/study-1`
    """

    async def work() -> None:
        async with client_of(context) as client:
            for path in names:
                with about(path):
                    await client.mkdir(path, parents=parents)

    complete(work())
    if json:
        print_json([{"path": path} for path in names])


def rm(
    context: typer.Context,
    names: Lfns = None,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Directories with all that is below them.")
    ] = False,
    files_from: FilesFrom = None,
    json: Json = False,
) -> None:
    """Delete files, and with -r directories.

    Example: `mdm rm -r /demo/study-1`
    """
    paths = all_names(names, files_from)

    async def work() -> dict[str, None]:
        async with client_of(context) as client:
            await client.rm(paths, recursive=recursive)
            return dict.fromkeys(paths)

    outcomes = settled(work())
    for outcome in outcomes:
        if outcome.error is not None:
            complain(outcome.error, outcome.name)
    if json:
        print_json([outcome_json(outcome.name, outcome.error) for outcome in outcomes])
    end(outcome.error for outcome in outcomes)


def mv(context: typer.Context, source: str, target: str, json: Json = False) -> None:
    """Move or rename; into TARGET when that is a directory.

    Example: `mdm mv /demo/a.dcm /demo/study-1/`
    """

    async def work() -> Lfn:
        async with client_of(context) as client:
            return await move(client, source, target)

    with about(source):
        moved = complete(work())
    if json:
        print_json({"from": source, "to": moved})


async def move(client: Client, source: str, target: str) -> Lfn:
    """Move; where to. A target that ends with '/' must be a directory."""
    wanted = parse_lfn(target)
    is_directory = await is_a_directory(client, wanted)
    if target.endswith("/") and not is_directory:
        raise NotADirectory("the target is not a directory", remedy="make it with `mdm mkdir`")
    if is_directory:
        by_guid = source.startswith("guid:")
        wanted = join(wanted, (await client.stat(source)).name if by_guid else split(parse_lfn(source))[1])
    await client.mv(source, wanted)
    return wanted


@contextmanager
def counting(*, quiet: bool) -> Iterator[Callable[[int], None]]:
    """Shows how many entries have come, on a terminal that shows nothing else."""
    console = stderr_console()
    if quiet or not console.is_terminal:
        yield lambda count: None
        return
    with console.status("listing") as status:
        yield lambda count: status.update(f"{count} entries")


def short_name(entry: Entry) -> str:
    return entry.name + ("/" if entry.is_directory else "")


def long_line(entry: Entry) -> str:
    """Kind, bytes, checksum, time, state of the view or where the file is, name; '-' for what is unknown."""
    size = "-" if entry.size is None else str(entry.size)
    time = entry.modified.strftime("%Y-%m-%d %H:%M") if entry.modified else "-"
    where = entry.locality or "ONLINE"
    state = entry.view_state or ("-" if where.startswith("ONLINE") else where.lower())
    view = f"{entry.view or '-'}:{state}" if not entry.is_directory else "-"
    kind = "d" if entry.is_directory else "-"
    return f"{kind} {size:>12} {entry.adler32 or '-':>8} {time:16} {view:16} {short_name(entry)}"


def outcome_json(path: str, error: MdmError | None) -> dict[str, Any]:
    return {"path": path} if error is None else {"path": path, "error": error_json(error)}
