"""`mdm token create|list|revoke`: local tokens."""

import re
from typing import Annotated

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line
from mdm_async.client.tokens import Token
from mdm_async.errors import BadRequest

_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
Name = Annotated[str, typer.Option(help="Who or what it is for; shown in the audit.")]


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Make, list and revoke local tokens.", no_args_is_help=True)
    group.command()(create)
    group.command("list")(show)
    group.command()(revoke)
    app.add_typer(group, name="token")


def create(
    context: typer.Context,
    name: Name,
    rights: Annotated[str, typer.Option(help="Letters of pdrwlxgs, and i for the identified view.")],
    path: Annotated[str, typer.Option(help="Directory that it is good for.")] = "/",
    view: Annotated[
        list[str] | None,
        typer.Option(help="View that r covers, again for more; default: each directory's default view."),
    ] = None,
    lifetime: Annotated[str | None, typer.Option(help="Such as 12h or 30d; default: until revoked.")] = None,
    json: Json = False,
) -> None:
    """Make a token and print it; it is shown this once.

    Example: `mdm token create --name worker-7 --rights rlxg --path /demo --lifetime 12h`
    """

    seconds = None if lifetime is None else parse_duration(lifetime)

    async def work() -> Token:
        async with client_of(context) as client:
            return await client.tokens.create(name, rights, path, views=view, lifetime=seconds)

    token = complete(work())
    if json:
        print_json(token.told)
    else:
        print_line(token.secret or "")


def show(context: typer.Context, json: Json = False) -> None:
    """List tokens: who, which rights, where, until when.

    Example: `mdm token list`
    """

    async def work() -> list[Token]:
        async with client_of(context) as client:
            return await client.tokens.listing()

    tokens = complete(work())
    if json:
        print_json([each.told for each in tokens])
        return
    for each in tokens:
        views = ",".join(each.views or ()) or "(default)"
        state = "revoked" if each.revoked else f"until {each.expires or 'revoked'}"
        print_line(f"{each.name:24} {each.rights:10} {each.path:24} {views:24} {state}")


def revoke(context: typer.Context, name: str, json: Json = False) -> None:
    """Revoke a token; what it prepared is dead within a second.

    Example: `mdm token revoke worker-7`
    """

    async def work() -> None:
        async with client_of(context) as client:
            await client.tokens.revoke(name)

    complete(work())
    if json:
        print_json({"name": name, "revoked": True})


def parse_duration(text: str) -> int:
    """Seconds from '90', '90s', '15m', '12h' or '30d'."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd]?)", text)
    if match is None:
        raise BadRequest("a lifetime is malformed", remedy="write it as 90s, 15m, 12h or 30d")
    return int(match[1]) * _SECONDS[match[2]]
