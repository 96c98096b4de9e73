"""`mdm audit prune`: let go of what is old in the trail."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, print_line


def register(group: typer.Typer) -> None:
    group.command()(prune)


def prune(
    context: typer.Context,
    before: Annotated[
        datetime,
        typer.Option(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"], help="What was sealed before then (UTC)."),
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do it; else only tell what would go.")] = False,
    json: Json = False,
) -> None:
    """Remove the oldest rows of the trail; an act that is signed says which, so that the rest can still be verified.

    Example: `mdm audit prune --before 2025-01-01`
    """

    async def work() -> dict[str, Any] | None:
        async with client_of(context) as client:
            return await client.audit.prune(before.replace(tzinfo=UTC).isoformat(), really=yes)

    found = complete(work())
    if json:
        print_json({"pruned": found, "done": yes})
    elif found is None:
        print_line("nothing was sealed before then")
    else:
        seals = f"seals {found['firstSeal']} to {found['lastSeal']}"
        what = f"{found['rows']} rows under {seals}, ids {found['firstRow']} to {found['lastRow']}"
        print_line(f"pruned {what}" if yes else f"would prune {what}; repeat it with --yes")
