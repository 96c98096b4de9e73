"""`mdm keys rotate`: all wrapped under new key-encryption keys, shown while it goes."""

import asyncio
from contextlib import AbstractContextManager, nullcontext
from typing import Annotated, Any, Final

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.keys.status import print_standing
from mdm_async.cli.options import Json
from mdm_async.cli.output import on_interrupt, plain, print_json, stderr_console
from mdm_async.client.keys import understood
from mdm_async.errors import Busy, Damaged

_POLL_SECONDS: Final = 0.5
_PATIENCE_SECONDS: Final = 120.0
"""In which something must move."""


def register(group: typer.Typer) -> None:
    group.command()(rotate)


def rotate(
    context: typer.Context,
    gone: Annotated[
        list[str] | None,
        typer.Option(
            "--gone", metavar="NODE", help="A node that will not come back, as `mdm keys status` names it."
        ),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Until all is wrapped anew, or not.", show_default=False)
    ] = True,
    json: Json = False,
) -> None:
    """Wrap all keys under new key-encryption keys, while images are served, or go on where that was stopped.

    A key-encryption key that the server keeps itself is made now, and the old one destroyed when nothing is wrapped
    under it. Where the site keeps it, put a new one before the old one first; `mdm keys status` says when the old one
    may be removed.

    Example: `mdm keys rotate`
    """

    async def begin() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.keys.rotate(gone or ())

    async def follow(found: dict[str, Any]) -> dict[str, Any]:
        async with client_of(context) as client:
            with _shown() as progress:
                loop = asyncio.get_running_loop()
                moved = loop.time()
                while not _is_done(found):
                    _show(progress, found)
                    await asyncio.sleep(_POLL_SECONDS)
                    before, found = found, await client.keys.status()
                    if _progress(before) != _progress(found):
                        moved = loop.time()
                    if loop.time() - moved > _PATIENCE_SECONDS:
                        break
                return found

    found = complete(begin())
    with understood():
        if wait:
            with on_interrupt(
                "the server goes on wrapping keys anew", "`mdm keys status` shows how far it is"
            ):
                found = complete(follow(found))
    if json:
        print_json(found)
    else:
        with understood():
            print_standing(found)
    if wait and not _is_done(found):
        raise Busy(
            "not all keys could be wrapped anew so far", remedy="`mdm keys status` says what is missing"
        )
    if wait and any(store["rotation"]["damaged"] for store in _alive(found)):
        raise Damaged("some secrets open under no key", remedy="restore them from a backup of the key store")


def _alive(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [store for store in found["stores"] if store["alive"]]


def _is_done(found: dict[str, Any]) -> bool:
    """Whether each store that is alive has all under its newest key."""
    for store in _alive(found):
        newest = max(epoch["number"] for epoch in store["epochs"])
        rotation = store.get("rotation", {})
        if rotation.get("number") != newest or "ended" not in rotation:
            return False
        left = sum(epoch["rows"] for epoch in store["epochs"] if epoch["number"] != newest)
        if left > rotation["damaged"]:
            return False
    return True


def _progress(found: dict[str, Any]) -> list[tuple[Any, Any]]:
    rotations = [store.get("rotation", {}) for store in _alive(found)]
    return [(one.get("number"), one.get("done")) for one in rotations]


def _shown() -> AbstractContextManager[Progress | None]:
    """On a terminal, nothing elsewhere."""
    console = stderr_console()
    if not console.is_terminal:
        return nullcontext(None)
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True)


def _show(progress: Progress | None, found: dict[str, Any]) -> None:
    """A bar for each store."""
    if progress is None:
        return
    for store in _alive(found):
        name, rotation = plain(store["name"]), store.get("rotation", {})
        known = [task.id for task in progress.tasks if task.description == name]
        task = known[0] if known else progress.add_task(name, total=None)
        progress.update(task, total=rotation.get("total"), completed=rotation.get("done", 0))
