"""`mdm intake get|set`: whether a directory takes files that break PS3.10."""

from enum import StrEnum
from typing import Annotated

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, print_json, print_line
from mdm_async.client.intake import Forcing

Directory = Annotated[str, typer.Argument(metavar="LFN", show_default=False)]


class Force(StrEnum):
    YES = "yes"
    NO = "no"
    INHERIT = "inherit"


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="What a directory takes in: whether files that break DICOM's file format are let in.",
        no_args_is_help=True,
    )
    group.command()(get)
    group.command("set")(change)
    app.add_typer(group, name="intake")


def get(context: typer.Context, path: Directory, json: Json = False) -> None:
    """Show whether files are taken into a directory as with `mdm put --force`, and where that is said.

    Example: `mdm intake get /demo`
    """

    async def work() -> Forcing:
        async with client_of(context) as client:
            return await client.intake.get(path)

    with about(path):
        told = complete(work())
    _print(told, json=json)


def change(
    context: typer.Context,
    path: Directory,
    force: Annotated[Force, typer.Option(help="Take files as with `mdm put --force`.", show_default=False)],
    json: Json = False,
) -> None:
    """Set whether files that break DICOM's file format are taken into a directory and what is below it.

    Such files have no preamble, no file meta information, or another VR encoding than they say, as old archives do.
    'inherit' as is said above it.

    Example: `mdm intake set /demo --force yes`
    """

    async def work() -> Forcing:
        async with client_of(context) as client:
            return await client.intake.set(path, force=force)

    with about(path):
        told = complete(work())
    _print(told, json=json)


def _print(told: Forcing, *, json: bool) -> None:
    if json:
        print_json(told.told)
        return
    where = "default" if told.by_default else told.path or "a directory above"
    print_line(f"force: {'yes' if told.force else 'no'} by {where}")
