"""`mdm delivery get|set`: what leaves a directory in the clear, and what only sealed."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, print_json, print_line
from mdm_async.client.delivery import Policies
from mdm_async.errors import BadRequest

Directory = Annotated[str, typer.Argument(metavar="LFN", show_default=False)]


class Delivery(StrEnum):
    CLEAR = "clear"
    SEALED = "sealed"
    INHERIT = "inherit"


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="How views leave a directory: in the clear over TLS, or sealed.", no_args_is_help=True
    )
    group.command()(get)
    group.command("set")(change)
    app.add_typer(group, name="delivery")


def get(context: typer.Context, path: Directory, json: Json = False) -> None:
    """Show how views leave a directory, and where that is said.

    Example: `mdm delivery get /demo`
    """

    async def work() -> Policies:
        async with client_of(context) as client:
            return await client.delivery.get(path)

    with about(path):
        told = complete(work())
    _print(told.told, json=json)


def change(
    context: typer.Context,
    path: Directory,
    identified: Annotated[Delivery | None, typer.Option(help="Of the identified view.")] = None,
    deidentified: Annotated[Delivery | None, typer.Option(help="Of de-identified views.")] = None,
    json: Json = False,
) -> None:
    """Set how views leave a directory and what is below; 'inherit' as is said above it.

    Example: `mdm delivery set /demo --deidentified sealed`
    """
    if identified is None and deidentified is None:
        raise BadRequest("nothing is to be set", remedy="give --identified or --deidentified")

    async def work() -> Policies:
        async with client_of(context) as client:
            return await client.delivery.set(path, identified=identified, deidentified=deidentified)

    with about(path):
        told = complete(work())
    _print(told.told, json=json)


def _print(told: dict[str, Any], *, json: bool) -> None:
    if json:
        print_json(told)
        return
    for kind, one in told.items():
        where = "the server's settings" if one["bySettings"] else "a directory above"
        where = one["from"]["path"] if "from" in one else where
        print_line(f"{kind:>12}: {one['delivery']:6} by {where}")
