"""`mdm ls|stat|mkdir|rm|mv`: names and what is known of them."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, complain, end, error_json, print_json, print_line, stderr_console
from mdm_async.client.client import PAGE, Client
from mdm_async.client.entry import Entry
from mdm_async.client.one_or_many import SomeFailed
from mdm_async.errors import MdmError, NotADirectory
from mdm_async.names import Lfn, join, parse_lfn, split

Lfns = Annotated[list[str], typer.Argument(metavar="LFN…", show_default=False)]


def register(app: typer.Typer) -> None:
    for command in (ls, stat, mkdir, rm, mv):
        app.command()(command)


def ls(
    context: typer.Context,
    path: Annotated[str, typer.Argument(metavar="LFN")] = "/",
    long: Annotated[bool, typer.Option("--long", "-l", help="Size, time, checksum, view.")] = False,
    json: Json = False,
) -> None:
    """List a directory.

    Example: `mdm ls -l /demo`
    """

    async def work() -> list[Entry]:
        shown, count = [], 0
        async with client_of(context) as client:
            with counting(quiet=sys.stdout.isatty() and not json) as tell:
                async for entry in client.ls(path):
                    if json:
                        shown.append(entry)
                    else:
                        print_line(long_line(entry) if long else short_name(entry))
                    count += 1
                    if count % PAGE == 0:
                        tell(count)
        return shown

    with about(path):
        entries = complete(work())
    if json:
        print_json([entry.as_json() for entry in entries])


def stat(context: typer.Context, paths: Lfns, json: Json = False) -> None:
    """Show all that is known of names, or of GUIDs such as guid:3f2504e0-4f89-41d3-9a0c-0305e82c3301.

    Example: `mdm stat /demo/CT_small.dcm`
    """

    async def work() -> list[Entry]:
        found = []
        async with client_of(context) as client:
            for path in paths:
                with about(path):
                    found.append(await client.stat(path))
        return found

    documents = [entry.as_json() for entry in complete(work())]
    if json:
        print_json(documents)
        return
    for document in documents:
        for name, value in document.items():
            print_line(f"{name:>12}: {value}")


def mkdir(
    context: typer.Context,
    paths: Lfns,
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
            for path in paths:
                with about(path):
                    await client.mkdir(path, parents=parents)

    complete(work())
    if json:
        print_json([{"path": path} for path in paths])


def rm(
    context: typer.Context,
    paths: Lfns,
    recursive: Annotated[
        bool, typer.Option("--recursive", "-r", help="Directories with all that is below them.")
    ] = False,
    json: Json = False,
) -> None:
    """Delete files, and with -r directories.

    Example: `mdm rm -r /demo/study-1`
    """

    async def work() -> dict[str, MdmError]:
        async with client_of(context) as client:
            try:
                await client.rm(paths, recursive=recursive)
            except SomeFailed as some:
                return {outcome.name: outcome.error for outcome in some.outcomes if outcome.error}
            return {}

    failures = complete(work())
    for path, error in failures.items():
        complain(error, path)
    if json:
        print_json([outcome_json(path, failures.get(path)) for path in paths])
    end(failures.get(path) for path in paths)


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


async def is_a_directory(client: Client, path: str) -> bool:
    """False too when there is nothing of that name."""
    try:
        return (await client.stat(path)).is_directory
    except MdmError as error:
        if error.http == 404:
            return False
        raise


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
