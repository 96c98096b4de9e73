"""`mdm keys status`: how the key store stands."""

from collections.abc import Iterator
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
    """Show how the key store stands: its databases, what is wrapped under which key-encryption key, the last rotation.

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
        print_standing(found)


def print_standing(found: dict[str, Any]) -> None:
    stores = found["stores"]
    alive = sum(store["alive"] for store in stores)
    print_line(f"{alive} of {len(stores)} stores alive; {found['threshold']} are needed to read")
    epochs = table("store", "key", "state", "wrapped", "since", numbers=("key", "wrapped"))
    for store in stores:
        if not store["alive"]:
            add_row(epochs, store["name"], "", "away", "", "")
        for epoch in store["epochs"]:
            rows = f"{epoch['rows']}{'+' if epoch['more'] else ''}"
            add_row(epochs, store["name"], epoch["number"], _state(epoch), rows, epoch["made"])
    print_table(epochs)
    for store in stores:
        for line in _lines(store):
            print_line(f"{store['name']}: {line}")


def _state(epoch: dict[str, Any]) -> str:
    if epoch["inUse"]:
        return "in use"
    if "destroyed" in epoch:
        return f"destroyed {epoch['destroyed']}"
    if "closed" in epoch:
        return "ended"
    return "kept" if epoch["here"] else "gone"


def _lines(store: dict[str, Any]) -> Iterator[str]:
    """What has been done, and what must be done."""
    if (rotation := store.get("rotation")) is not None:
        yield in_words(rotation)
        if rotation["damaged"]:
            yield f"{rotation['damaged']} secrets open under no key; key-encryption keys that they need are kept"
    newest = max((epoch["number"] for epoch in store["epochs"] if "closed" not in epoch), default=0)
    ended = {epoch["number"] for epoch in store["epochs"] if "closed" in epoch and "destroyed" not in epoch}
    for node in store["nodes"]:
        if node["live"] and newest not in node["has"]:
            yield f"node {node['name']} does not have key {newest}: put it there too"
        for number in sorted(ended & set(node["has"])):
            if node["live"]:
                yield (
                    f"node {node['name']} still has key {number}: remove it from {store['source']}, "
                    "unless the server keeps that file itself"
                )
            else:
                yield (
                    f"node {node['name']}, last seen {node['seen']}, may still have key {number}: start it, "
                    f"or if it will not come back: mdm keys rotate --gone {node['name']}"
                )


def in_words(rotation: dict[str, Any]) -> str:
    """How far wrapping anew is."""
    done, total = rotation["done"], rotation["total"]
    if "ended" in rotation:
        return f"all wrapped under key {rotation['number']} at {rotation['ended']} ({done} anew, each opened)"
    of = "" if total is None else f" of {total}"
    return f"{done}{of} wrapped under key {rotation['number']}, since {rotation['began']}"
