"""`mdm meta take`: the next task, given to one worker alone."""

from typing import Annotated

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.metadata.find import at_path
from mdm_async.cli.metadata.values import assigned
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line
from mdm_async.client.finding import Match
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

    async def work() -> list[Match]:
        async with client_of(context) as client:
            return await client.meta.take(query, values, path, view=view, count=count)

    with at_path(path):
        taken = complete(work())
    if not taken:
        raise NotFound("nothing that matches is free", remedy="of what you have the rights 'g' and 's' to")
    if json:
        print_json({"taken": [{"path": one.path, "guid": one.guid, "view": one.view} for one in taken]})
        return
    for one in taken:
        print_line(one.path)
