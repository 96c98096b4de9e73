"""`mdm meta schema`: collections of attributes of one's own."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, print_json, print_line

if TYPE_CHECKING:
    from mdm_async.client.metadata import Metadata

Collection = Annotated[str, typer.Argument(metavar="COLLECTION", show_default=False)]
At = Annotated[
    str,
    typer.Option("--at", metavar="DIR", help="The directory where the collection is.", show_default=False),
]
Attributes = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[ATTRIBUTE:KIND…]",
        help="KIND: text, int, float or date; ATTRIBUTE=ONE,ANOTHER takes these texts only.",
        show_default=False,
    ),
]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Collections of attributes of your own.", no_args_is_help=True)
    for command in (create, add, remove, drop, show):
        group.command()(command)
    app.add_typer(group, name="schema")


def create(
    context: typer.Context, name: Collection, at: At, attributes: Attributes = None, json: Json = False
) -> None:
    """Make a collection at a directory, for all that is in it and below; it takes the right 's' there.

    Example: `mdm meta schema create mine --at /vo/study quality:int note:text state=new,running,done`
    """
    wanted = [_attribute(one) for one in attributes or ()]
    _do(context, name, at, json, lambda metadata: metadata.create_schema(at, name, wanted))


def add(
    context: typer.Context, name: Collection, at: At, attributes: Attributes = None, json: Json = False
) -> None:
    """Add attributes to a collection.

    Example: `mdm meta schema add mine --at /vo/study reviewed:date`
    """
    wanted = [_attribute(one) for one in attributes or ()]
    _do(context, name, at, json, lambda metadata: metadata.change_schema(at, name, add=wanted))


def remove(
    context: typer.Context,
    name: Collection,
    at: At,
    attributes: Annotated[list[str], typer.Argument(metavar="ATTRIBUTE…", show_default=False)],
    json: Json = False,
) -> None:
    """Remove attributes from a collection, with all their values; it takes the rights 's' and 'd'.

    Example: `mdm meta schema remove mine --at /vo/study reviewed`
    """
    _do(context, name, at, json, lambda metadata: metadata.change_schema(at, name, remove=attributes))


def drop(context: typer.Context, name: Collection, at: At, json: Json = False) -> None:
    """Remove a collection, with all its values; it takes the rights 's' and 'd'.

    Example: `mdm meta schema drop mine --at /vo/study`
    """
    _do(context, name, at, json, lambda metadata: metadata.drop_schema(at, name))


def show(
    context: typer.Context,
    path: Annotated[str, typer.Argument(metavar="LFN", show_default=False)],
    json: Json = False,
) -> None:
    """Show the collections in force at a file or directory: those at it and above, the nearest of each name.

    Example: `mdm meta schema show /vo/study`
    """

    async def work() -> list[dict[str, Any]]:
        async with client_of(context) as client:
            return await client.meta.schemas(path)

    with about(path):
        found = complete(work())
    if json:
        print_json(found)
        return
    for one in found:
        print_line(f"{one['name']}  {one['at']}")
        for attribute in one["attributes"]:
            print_line(f"  {in_words(attribute)}")


def in_words(attribute: dict[str, Any]) -> str:
    """As it is given to `create`."""
    if choices := attribute.get("choices"):
        return f"{attribute['name']}={','.join(choices)}"
    return f"{attribute['name']}:{attribute['kind']}"


def _attribute(text: str) -> dict[str, Any]:
    name, sign, choices = text.partition("=")
    if sign and ":" not in name:
        return {"name": name, "kind": "text", "choices": choices.split(",")}
    name, _, kind = text.partition(":")
    return {"name": name, "kind": kind or "text"}


def _do(
    context: typer.Context, name: str, at: str, json: bool, change: "Callable[[Metadata], Awaitable[None]]"
) -> None:
    async def work() -> None:
        async with client_of(context) as client:
            await change(client.meta)

    with about(at):
        complete(work())
    if json:
        print_json({"path": at, "collection": name})
