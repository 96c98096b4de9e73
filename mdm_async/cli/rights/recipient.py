"""`mdm recipient set|list|remove`: keys that sealed transfers go to when a request names none."""

from pathlib import Path
from typing import Annotated

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, print_json, print_line
from mdm_async.client.recipients import RegisteredKey
from mdm_async.crypt4gh.keyfile import parse_recipient
from mdm_async.errors import MdmError

Principal = Annotated[
    str | None,
    typer.Option(help="Another than your own, such as fqan:/vo; for administrators.", show_default=False),
]
_KEY_BYTES = 1 << 15


def register(app: typer.Typer) -> None:
    group = typer.Typer(help="Keys that sealed images are sealed for.", no_args_is_help=True)
    group.command("set")(register_key)
    group.command("list")(listing)
    group.command()(remove)
    app.add_typer(group, name="recipient")


def register_key(
    context: typer.Context,
    key: Annotated[Path, typer.Argument(metavar="KEY.pub", show_default=False)],
    principal: Principal = None,
    json: Json = False,
) -> None:
    """Register a public key, instead of the one before.

    Example: `mdm recipient set ~/.c4gh/me.pub`
    """
    with about(str(key)):
        public = _read(key)

    async def work() -> str:
        async with client_of(context) as client:
            return await client.recipients.set(public, principal)

    whose = complete(work())
    if json:
        print_json({"principal": whose})
    else:
        print_line(f"registered for {whose}")


def listing(context: typer.Context, json: Json = False) -> None:
    """List registered keys: all for administrators, for others their own and their groups'.

    Example: `mdm recipient list`
    """

    async def work() -> list[RegisteredKey]:
        async with client_of(context) as client:
            return await client.recipients.listing()

    found = complete(work())
    if json:
        print_json([one.told for one in found])
        return
    for one in found:
        print_line(f"{one.told['key']} {one.principal} (by {one.set_by}, {one.at[:16]})")


def remove(context: typer.Context, principal: Principal = None, json: Json = False) -> None:
    """Remove a registered key.

    Example: `mdm recipient remove`
    """

    async def work() -> str:
        async with client_of(context) as client:
            return await client.recipients.remove(principal)

    whose = complete(work())
    if json:
        print_json({"principal": whose})
    else:
        print_line(f"removed that of {whose}")


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return parse_recipient(opened.read(_KEY_BYTES))
    except OSError as why:
        raise MdmError(f"{file} cannot be read: {why.strerror}") from None
