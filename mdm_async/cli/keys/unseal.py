"""`mdm keys unseal`: custodians' shares, for a server that starts sealed."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.keys.passphrases import PassphraseFiles, passphrases
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, print_json, print_line
from mdm_async.client.keys import understood
from mdm_async.client.share_files import open_share


def register(group: typer.Typer) -> None:
    group.command()(unseal)


def unseal(
    context: typer.Context,
    files: Annotated[list[Path] | None, typer.Argument(metavar="[SHARE]...", help="Share files.")] = None,
    forget: Annotated[
        bool, typer.Option("--forget", help="First have the server forget the shares given so far.")
    ] = False,
    passphrase_file: PassphraseFiles = None,
    json: Json = False,
) -> None:
    """Give a server custodians' shares of its key-encryption key, all at once or one by one; without any, show them.

    It runs on the server's own machine, by the socket in its directory: neither passphrases nor shares cross a
    network. With enough of them the server begins to serve.

    Example: `mdm keys unseal share-1-of-5.age share-4-of-5.age share-5-of-5.age`
    """
    paths = files or []
    given = passphrases(passphrase_file, paths, new_from=len(paths)) if paths else []
    shares = [open_share(path, passphrase) for path, passphrase in zip(paths, given, strict=True)]
    found = complete(_give(context, paths, shares, forget))
    if json:
        print_json(found)
        return
    with understood():
        for store in found["stores"]:
            print_line(_told(store))
        if found["waits"] is not None:
            print_line(f"the server does not serve yet: {found['waits']}")


async def _give(context: typer.Context, paths: list[Path], shares: list[str], forget: bool) -> dict[str, Any]:
    async with client_of(context) as client:
        found = await (client.keys.forget_shares() if forget else client.keys.shares())
        for path, share in zip(paths, shares, strict=True):
            with about(str(path)):
                found = await client.keys.unseal(share)
        return found


def _told(store: dict[str, Any]) -> str:
    name = f"store {store['name']}" if store["name"] else "the catalog's own keys"
    state = "open" if store["open"] else "sealed"
    given = store["given"]
    if not given:
        return f"{name}: {state}"
    shares = ", ".join(map(str, given))
    return f"{name}: {state}; {len(given)} of {store['threshold']} shares of split {store['split']} came: {shares}"
