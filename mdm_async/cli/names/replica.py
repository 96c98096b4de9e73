"""`mdm replica`: where else copies of images lie."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.names.commands import outcome_json
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, complain, end, error_json, print_json, print_line
from mdm_async.cli.settled import settled
from mdm_async.client.one_or_many import Outcome
from mdm_async.client.replicas import Replica, Replicas

Lfn = Annotated[str, typer.Argument(metavar="LFN", show_default=False)]
Urls = Annotated[list[str], typer.Argument(metavar="URL…", show_default=False)]
Change = Callable[[Replicas, str, Sequence[str]], Awaitable[None]]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Tell where else copies of images lie.", no_args_is_help=True)
    group.command()(add)
    group.command("list")(list_)
    group.command()(remove)
    group.command()(master)
    app.add_typer(group, name="replica")


def list_(
    context: typer.Context,
    paths: Annotated[list[str], typer.Argument(metavar="LFN…", show_default=False)],
    json: Json = False,
) -> None:
    """List the copies of files that lie elsewhere; '*' marks the master, which is the server's own if none is marked.

    Example: `mdm replica list /demo/CT_small.dcm`
    """

    async def work() -> dict[str, list[Replica]]:
        async with client_of(context) as client:
            return await client.replicas.listing(paths)

    outcomes = settled(work())
    for outcome in outcomes:
        if outcome.error is not None:
            complain(outcome.error, outcome.name)
        elif not json:
            for replica in outcome.result or []:
                mark = "*" if replica.master else " "
                print_line(f"{outcome.name}  {mark} {replica.view}  {replica.url}")
    if json:
        print_json([_as_json(outcome) for outcome in outcomes])
    end(outcome.error for outcome in outcomes)


def add(context: typer.Context, path: Lfn, urls: Urls, json: Json = False) -> None:
    """Tell of copies of a file's view; /@VIEW before the path names another view than the default.

    Example: `mdm replica add /demo/CT_small.dcm https://se.example.org/store/1234`
    """
    _change(context, Replicas.add, path, urls, json)


def remove(context: typer.Context, path: Lfn, urls: Urls, json: Json = False) -> None:
    """Forget copies of a file; nothing is deleted where they lie.

    Example: `mdm replica remove /demo/CT_small.dcm https://se.example.org/store/1234`
    """
    _change(context, Replicas.remove, path, urls, json)


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

    async def work() -> None:
        async with client_of(context) as client:
            await client.replicas.set_master(path, url)

    with about(path):
        complete(work())
    if json:
        print_json({"path": path, "url": url})


def _change(context: typer.Context, change: Change, path: str, urls: Sequence[str], json: bool) -> None:
    async def work() -> dict[str, None]:
        async with client_of(context) as client:
            await change(client.replicas, path, urls)
        return dict.fromkeys(urls)

    outcomes = settled(work())
    for outcome in outcomes:
        if outcome.error is not None:
            complain(outcome.error, path)
    if json:
        print_json([{**outcome_json(path, outcome.error), "url": outcome.name} for outcome in outcomes])
    end(outcome.error for outcome in outcomes)


def _as_json(outcome: Outcome[list[Replica]]) -> dict[str, Any]:
    if outcome.error is not None:
        return {"path": outcome.name, "error": error_json(outcome.error)}
    return {"path": outcome.name, "replicas": [replica.told for replica in outcome.result or []]}
