"""`mdm replica`: where else copies of images lie."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.names.commands import Lfns, outcome_json
from mdm_async.cli.options import Json
from mdm_async.cli.output import complain, end, error_json, print_json, print_line
from mdm_async.client import replicas
from mdm_async.client.wire import Wire
from mdm_async.errors import MdmError

Lfn = Annotated[str, typer.Argument(metavar="LFN", show_default=False)]
Urls = Annotated[list[str], typer.Argument(metavar="URL…", show_default=False)]
Change = Callable[[Wire, Sequence[tuple[str, str]]], Awaitable[list[tuple[str, MdmError | None]]]]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Tell where else copies of images lie.", no_args_is_help=True)
    group.command()(add)
    group.command("list")(list_)
    group.command()(remove)
    group.command()(master)
    app.add_typer(group, name="replica")


def list_(context: typer.Context, paths: Lfns, json: Json = False) -> None:
    """List the copies of files that lie elsewhere; '*' marks the master, which is the server's own if none is marked.

    Example: `mdm replica list /demo/CT_small.dcm`
    """

    async def work() -> list[tuple[str, list[dict[str, Any]] | MdmError]]:
        async with client_of(context) as client:
            return await replicas.listing(client.wire, paths)

    found = complete(work())
    if json:
        print_json([_as_json(path, one) for path, one in found])
    for path, one in found:
        if isinstance(one, MdmError):
            complain(one, path)
        elif not json:
            for replica in one:
                mark = "*" if replica["master"] else " "
                print_line(f"{path}  {mark} {replica['view']}  {replica['url']}")
    end([one if isinstance(one, MdmError) else None for _, one in found])


def add(context: typer.Context, path: Lfn, urls: Urls, json: Json = False) -> None:
    """Tell of copies of a file's view; /@VIEW before the path names another view than the default.

    Example: `mdm replica add /demo/CT_small.dcm https://se.example.org/store/1234`
    """
    _change(context, replicas.add, path, urls, json)


def remove(context: typer.Context, path: Lfn, urls: Urls, json: Json = False) -> None:
    """Forget copies of a file; nothing is deleted where they lie.

    Example: `mdm replica remove /demo/CT_small.dcm https://se.example.org/store/1234`
    """
    _change(context, replicas.remove, path, urls, json)


def master(
    context: typer.Context,
    path: Lfn,
    url: Annotated[
        str | None,
        typer.Argument(metavar="[URL]", help="Left out: the server's own copy.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Say which copy of a file is the master.

    Example: `mdm replica master /demo/CT_small.dcm https://se.example.org/store/1234`
    """

    async def work() -> list[tuple[str, MdmError | None]]:
        async with client_of(context) as client:
            return await replicas.set_master(client.wire, [(path, url)])

    ((_, error),) = complete(work())
    if error is not None:
        complain(error, path)
    if json:
        print_json({**outcome_json(path, error), "url": url})
    end([error])


def _change(context: typer.Context, change: Change, path: str, urls: Sequence[str], json: bool) -> None:
    async def work() -> list[tuple[str, MdmError | None]]:
        async with client_of(context) as client:
            return await change(client.wire, [(path, url) for url in urls])

    outcomes = complete(work())
    for _, error in outcomes:
        if error is not None:
            complain(error, path)
    if json:
        told = zip(urls, outcomes, strict=True)
        print_json([{**outcome_json(path, error), "url": url} for url, (_, error) in told])
    end([error for _, error in outcomes])


def _as_json(path: str, found: list[dict[str, Any]] | MdmError) -> dict[str, Any]:
    if isinstance(found, MdmError):
        return {"path": path, "error": error_json(found)}
    return {"path": path, "replicas": found}
