"""`mdm whoami`: who the server takes one for."""

from typing import Annotated

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, print_json, print_line
from mdm_async.client.identity import Identity
from mdm_async.errors import WrongContent


def register(app: typer.Typer) -> None:
    app.command()(whoami)


def whoami(
    context: typer.Context, path: Annotated[str, typer.Argument(metavar="LFN")] = "/", json: Json = False
) -> None:
    """Tell who the server takes you for, by which credential, until when, and with what rights at LFN.

    Example: `mdm whoami /demo`
    """

    async def work() -> Identity:
        async with client_of(context) as client:
            return await client.whoami(path)

    with about(path):
        found = complete(work())
    if json:
        print_json(found.told)
        return
    try:
        _print(path, found)
    except (KeyError, TypeError, AttributeError):
        raise WrongContent(
            "the server's answer is not understood", remedy="is it the URL of an mdm server?"
        ) from None


def _print(path: str, found: Identity) -> None:
    told = found.told
    print_line(f"{found.name}, by {found.credential}")
    lines = [("principals", ", ".join(found.principals))]
    if found.credential not in ("none", "socket"):  # Of those nothing ends, nor can it be revoked.
        lines.append(("ends", found.until or "when revoked"))
    if told["limited"]:
        lines.append(("limited", "may neither change rights nor see identities"))
    for scope in told["scopes"]:
        views = f" ({', '.join(scope['views'])})" if scope["views"] else ""
        lines.append(("by itself", f"{scope['rights']}{views} at {scope['path']}"))
    here = told["here"]
    if found.error is not None:
        rights = found.error.detail
    else:
        views = f", reads {', '.join(here['views'])}" if here["views"] else ""
        rights = f"{found.permission or 'none'}{views}"
    lines.append((f"at {path}", rights))
    width = max(len(name) for name, _ in lines)
    for name, value in lines:
        print_line(f"{name:>{width}}: {value}")
