"""`mdm meta take`: the next task, given to one worker alone."""

from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.metadata.values import assigned
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line
from mdm_async.errors import BadRequest, NotFound


def register(app: typer.Typer) -> None:
    app.command()(take)


def take(
    context: typer.Context,
    query: Annotated[str, typer.Argument(metavar="QUERY", show_default=False)],
    given: Annotated[
        list[str],
        typer.Option(
            "--set",
            metavar="COLLECTION.ATTRIBUTE=VALUE",
            help="What it gets, so that it matches no more. May be repeated.",
            show_default=False,
        ),
    ],
    path: Annotated[
        str, typer.Option("--path", metavar="LFN", help="The file, or what is below the directory.")
    ] = "/",
    view: Annotated[
        str | None,
        typer.Option(
            help="The view whose values count; default: each file's default view.", show_default=False
        ),
    ] = None,
    count: Annotated[int, typer.Option(min=1, max=1000, help="So many at the most.")] = 1,
    json: Json = False,
) -> None:
    """Take what matches a query: print its name, and set values, in one step; nobody else is given it too.

    The code is 3 when nothing that matches is free.

    Example: `mdm meta take 'mine.state = "new"' --set mine.state=running --path /vo/study`
    """
    values, others = assigned(given)
    if others:
        raise BadRequest("what is to be set is malformed", remedy="write --set COLLECTION.ATTRIBUTE=VALUE")

    async def work() -> list[dict[str, Any]]:
        async with client_of(context) as client:
            return await client.meta.take(query, values, path, view=view, count=count)

    taken = complete(work())
    if not taken:
        raise NotFound("nothing that matches is free")
    if json:
        print_json(taken)
        return
    for one in taken:
        print_line(one["path"])
