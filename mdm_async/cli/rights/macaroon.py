"""`mdm macaroon list|revoke`."""

from typing import Annotated

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line
from mdm_async.client.macaroons import Macaroon


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="List and revoke macaroons; gfal-token and curl make them.", no_args_is_help=True
    )
    group.command("list")(show)
    group.command()(revoke)
    app.add_typer(group, name="macaroon")


def show(context: typer.Context, json: Json = False) -> None:
    """List your macaroons, or as an administrator everybody's: which, whose, what bars their bearers.

    Example: `mdm macaroon list`
    """

    async def work() -> list[Macaroon]:
        async with client_of(context) as client:
            return await client.macaroons.listing()

    found = complete(work())
    if json:
        print_json([each.told for each in found])
        return
    for each in found:
        own = ("id:", "iid:", "before:")
        bars = " ".join(caveat for caveat in each.caveats if not caveat.startswith(own))
        state = "revoked" if each.revoked else f"until {each.expires}"
        print_line(f"{each.id} {each.maker:32} {state:28} {bars}")


def revoke(
    context: typer.Context,
    macaroon: Annotated[str, typer.Argument(metavar="ID", help="As `mdm macaroon list` shows it.")],
    json: Json = False,
) -> None:
    """Revoke a macaroon; what it prepared is dead within a second.

    Example: `mdm macaroon revoke 0b5a4c9e-6b1f-4d2a-9c3e-8f7a6b5c4d3e`
    """

    async def work() -> None:
        async with client_of(context) as client:
            await client.macaroons.revoke(macaroon)

    complete(work())
    if json:
        print_json({"id": macaroon, "revoked": True})
