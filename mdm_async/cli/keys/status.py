"""`mdm keys status`: how the key store stands."""

from typing import Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line
from mdm_async.cli.tables import add_row, print_table, table
from mdm_async.client.keys import understood


def register(group: typer.Typer) -> None:
    group.command()(status)


def status(context: typer.Context, json: Json = False) -> None:
    """Show how the key store stands: its databases, and how much is wrapped under which key-encryption key.

    Example: `mdm keys status`
    """

    async def ask() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.keys.status()

    found = complete(ask())
    if json:
        print_json(found)
        return
    with understood():
        _print(found)


def _print(found: dict[str, Any]) -> None:
    stores = found["stores"]
    alive = sum(store["alive"] for store in stores)
    print_line(f"{alive} of {len(stores)} stores alive; {found['threshold']} are needed to read")
    epochs = table("store", "key", "state", "wrapped", numbers=("key", "wrapped"))
    for store in stores:
        if not store["alive"]:
            add_row(epochs, store["name"], "", "away", "")
        for epoch in store["epochs"]:
            rows = f"{epoch['rows']}{'+' if epoch['more'] else ''}"
            add_row(epochs, store["name"], epoch["number"], _state(epoch), rows)
    print_table(epochs)


def _state(epoch: dict[str, Any]) -> str:
    return "in use" if epoch["inUse"] else "kept" if epoch["here"] else "gone"
