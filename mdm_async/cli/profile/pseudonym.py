"""`mdm pseudonym`: the way back, for those who may take it."""

from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json
from mdm_async.cli.tables import add_row, print_table, table


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Find whom a pseudonym stands for.", no_args_is_help=True)
    group.command()(lookup)
    app.add_typer(group, name="pseudonym")


def lookup(
    context: typer.Context,
    pseudonym: Annotated[str, typer.Argument(metavar="PSEUDONYM", show_default=False)],
    json: Json = False,
) -> None:
    """Print what a pseudonym stands for, of images that one has the right i on; it is recorded in the audit.

    Example: `mdm pseudonym lookup 2.25.329800735698586629295641978511506172918`
    """

    async def work() -> list[dict[str, Any]]:
        async with client_of(context) as client:
            return await client.look_up(pseudonym)

    matches = complete(work())
    if json:
        print_json(matches)
        return
    shown = table("attribute", "original", "view")
    for match in matches:
        add_row(shown, match["attribute"], match["original"], match["view"])
    print_table(shown)
