"""`mdm keys list|register|unregister`: the keys of images, by the names of files."""

import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Annotated, Any

import typer

from mdm_async.cli.connection import client_of
from mdm_async.cli.files_from import FilesFrom, all_names
from mdm_async.cli.names.commands import Lfns
from mdm_async.cli.options import Json
from mdm_async.cli.output import complain, end, error_json, print_json, print_line, stderr_console
from mdm_async.cli.settled import settled
from mdm_async.client.keys import Keys, understood
from mdm_async.client.one_or_many import Outcome
from mdm_async.errors import BadRequest


def register(group: typer.Typer) -> None:
    group.command("list")(show)
    group.command("register")(make_good)
    group.command()(unregister)


def show(
    context: typer.Context, names: Lfns = None, files_from: FilesFrom = None, json: Json = False
) -> None:
    """Show the keys of files' images: generation, registration, and which key stores have them, or a share of them.

    It needs the right g.

    Example: `mdm keys list /demo/a.dcm`
    """
    _each(context, all_names(names, files_from), Keys.listing, json=json)


def make_good(
    context: typer.Context, names: Lfns = None, files_from: FilesFrom = None, json: Json = False
) -> None:
    """Give key stores what they lack of files' keys, where enough others have it; then as `mdm keys list`.

    No key that is there is changed. It needs the right s. The server does so by itself when a store comes back.

    Example: `mdm keys register /demo/a.dcm`
    """
    _each(context, all_names(names, files_from), Keys.register, json=json)


def unregister(
    context: typer.Context,
    names: Lfns = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    files_from: FilesFrom = None,
    json: Json = False,
) -> None:
    """Destroy the keys of files' images, and all that is stored of them, for good; their names stay.

    It needs the rights d and i on every name of every image. `mdm shred` removes the names too, and gives a receipt.

    Example: `mdm keys unregister /demo/a.dcm`
    """
    paths = all_names(names, files_from)
    if not yes:
        if not sys.stdin.isatty():
            raise BadRequest("there is no terminal to ask on", remedy="give --yes")
        stderr_console().print(
            f"{len(paths)} files can never be read again, whatever copies of keys are restored."
        )
        typer.confirm("Destroy their keys?", abort=True, err=True)
    _each(context, paths, Keys.unregister, json=json)


def _each(
    context: typer.Context,
    paths: list[str],
    verb: Callable[[Keys, list[str]], Coroutine[Any, Any, dict[str, dict[str, Any]]]],
    *,
    json: bool,
) -> None:
    async def work() -> dict[str, dict[str, Any]]:
        async with client_of(context) as client:
            return await verb(client.keys, paths)

    show_outcomes(settled(work()), _told, json=json)


def show_outcomes(
    outcomes: Sequence[Outcome[dict[str, Any]]], told: Callable[[dict[str, Any]], str], *, json: bool
) -> None:
    """What became of each file, and the command's end. `told`: an answer for people."""
    for outcome in outcomes:
        if outcome.error is not None:
            complain(outcome.error, outcome.name)
    if json:
        print_json(
            [
                {"name": one.name, "error": error_json(one.error)}
                if one.error is not None
                else {"name": one.name, **(one.result or {})}
                for one in outcomes
            ]
        )
    else:
        with understood():
            for outcome in outcomes:
                if outcome.error is None and outcome.result is not None:
                    print_line(f"{outcome.name}: {told(outcome.result)}")
    end(outcome.error for outcome in outcomes)


def _told(found: dict[str, Any]) -> str:
    if "stores" not in found:
        return f"{found['guid']}: its keys are destroyed"
    generation = f"generation {found['generation']}"
    words = {True: "has it", False: "lacks it", None: "is away"}
    stores = ", ".join(f"{name} {words[has]}" for name, has in found["stores"].items())
    return f"{found['guid']} {found['locality']} {generation}, registration {found['registration']}: {stores}"
