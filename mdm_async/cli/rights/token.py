"""`mdm token create|list|revoke`: local tokens."""

import re
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line
from mdm_async.client.client import Client
from mdm_async.errors import BadRequest
from mdm_async.names import parse_lfn, parse_rights

_TOKENS = "admin/v1/tokens"
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

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await create_token(client, name, rights, path, views=view, lifetime=lifetime)

    answer = complete(work())
    if json:
        print_json(answer)
    else:
        print_line(answer["token"])


def show(context: typer.Context, json: Json = False) -> None:
    """List tokens: who, which rights, where, until when.

    Example: `mdm token list`
    """

    async def work() -> list[dict[str, Any]]:
        async with client_of(context) as client:
            return list((await client.wire.operate("GET", _TOKENS)).get("tokens", []))

    tokens = complete(work())
    if json:
        print_json(tokens)
        return
    for each in tokens:
        views = ",".join(each.get("views") or []) or "(default)"
        state = "revoked" if each.get("revoked") else f"until {each.get('expires') or 'revoked'}"
        print_line(f"{each['name']:24} {each['rights']:10} {each['path']:24} {views:24} {state}")


def revoke(context: typer.Context, name: str, json: Json = False) -> None:
    """Revoke a token; what it prepared is dead within a second.

    Example: `mdm token revoke worker-7`
    """

    async def work() -> None:
        async with client_of(context) as client:
            await client.wire.operate("DELETE", f"{_TOKENS}/{name}")

    complete(work())
    if json:
        print_json({"name": name, "revoked": True})


async def create_token(
    client: Client,
    name: str,
    rights: str,
    path: str,
    *,
    views: list[str] | None = None,
    lifetime: str | None = None,
) -> dict[str, Any]:
    """The new token's description, with the token itself."""
    parse_rights(rights)
    wanted: dict[str, Any] = {"name": name, "rights": rights, "path": parse_lfn(path)}
    if views:
        wanted["views"] = views
    if lifetime:
        wanted["lifetime"] = parse_duration(lifetime)
    return await client.wire.operate("POST", _TOKENS, wanted)


def parse_duration(text: str) -> int:
    """Seconds from '90', '90s', '15m', '12h' or '30d'."""
    match = re.fullmatch(r"([1-9][0-9]{0,8})([smhd]?)", text)
    if match is None:
        raise BadRequest("a lifetime is malformed", remedy="write it as 90s, 15m, 12h or 30d")
    return int(match[1]) * _SECONDS[match[2]]
