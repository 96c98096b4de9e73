"""`mdm status`: how a server stands, and the work that waits."""

from datetime import timedelta
from typing import Any, Final

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import in_words, plain, print_json, print_line
from mdm_async.cli.tables import add_row, print_table, table
from mdm_async.errors import WrongContent

_BYTES: Final = {"limits.held", "blobs.reserve_free", "database.reserve_free"}


def register(app: typer.Typer) -> None:
    app.command()(status)


def status(context: typer.Context, json: Json = False) -> None:
    """Show how a server stands: node, version, space, transfers, limits, and the work that waits or fails.

    Example: `mdm status`
    """

    async def ask() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.wire.operate("GET", "admin/v1/status")

    found = complete(ask())
    if json:
        print_json(found)
        return
    try:
        _print(found)
    except (KeyError, TypeError, AttributeError):
        raise WrongContent(
            "the server's answer is not understood", remedy="is it the URL of an mdm server?"
        ) from None


def _print(found: dict[str, Any]) -> None:
    schema = ", ".join(f"{room.rpartition('.')[2]} {number}" for room, number in found["schema"].items())
    print_line(plain(f"{found['node']}, mdm {found['version']}, schema: {schema}"))
    moving = found["transfers"]
    free = found["blobs"]["free"]
    space = f"space for {in_words(free)}" if free is not None else "space is the blob store's affair"
    print_line(f"{space}; sending {moving['sending']}, receiving {moving['receiving']}")
    for reason in found["full"]:
        print_line(reason)
    queues = table("queue", "rows", "at work", "failed", "oldest", numbers=("rows", "at work", "failed"))
    failures = table("failed", "reason", "attempts", "again at", numbers=("attempts",))
    for queue in found["queues"]:
        length = f"{queue['length']}{'+' if queue['more'] else ''}"
        add_row(queues, queue["name"], length, queue["taken"], queue["failed"], _age(queue["oldestSeconds"]))
        for failure in queue["failures"]:
            row = " ".join((queue["name"] + ":", *failure["row"]))
            add_row(failures, row, failure["reason"], failure["attempts"], failure["due"])
    limits = table("limit", "used", "of", "share", numbers=("used", "of", "share"))
    for near in found["limits"]:
        share = f"{near['used'] / max(near['most'], 1):.0%}"
        figures = [near["used"], near["most"]]
        if near["setting"] in _BYTES:
            figures = [in_words(figure) for figure in figures]
        add_row(limits, near["setting"], *figures, share)
    print_table(limits)
    print_table(queues)
    print_table(failures)


def _age(seconds: float | None) -> str:
    return "" if seconds is None else str(timedelta(seconds=int(seconds)))
