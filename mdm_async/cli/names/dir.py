"""`mdm dir get|set`: whether a directory takes files that are not DICOM."""

from typing import Annotated

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, print_json, print_line
from mdm_async.client.intake import Opaque

Directory = Annotated[str, typer.Argument(metavar="LFN", show_default=False)]


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="What a directory is for: whether it takes opaque files, which are not DICOM.",
        no_args_is_help=True,
    )
    group.command()(get)
    group.command("set")(change)
    app.add_typer(group, name="dir")


def get(context: typer.Context, path: Directory, json: Json = False) -> None:
    """Show whether a directory takes opaque files, and where that is said.

    Example: `mdm dir get /demo`
    """

    async def work() -> Opaque:
        async with client_of(context) as client:
            return await client.intake.get_opaque(path)

    with about(path):
        told = complete(work())
    _print(told, json=json)


def change(
    context: typer.Context,
    path: Directory,
    opaque: Annotated[
        bool | None,
        typer.Option("--opaque/--no-opaque", help="Take files that are not DICOM.", show_default=False),
    ] = None,
    inherit: Annotated[bool, typer.Option("--inherit", help="As is said above it.")] = False,
    json: Json = False,
) -> None:
    """Set whether a directory, and what is below it, takes opaque files. It needs the permission right.

    Nobody de-identifies them: whoever may read there reads them as they are. DICOM files are ingested as everywhere.

    Example: `mdm dir set /demo/results --opaque`
    """
    if (opaque is None) != inherit:
        raise typer.BadParameter("give one of --opaque, --no-opaque and --inherit")

    async def work() -> Opaque:
        async with client_of(context) as client:
            said = "inherit" if inherit else "yes" if opaque else "no"
            return await client.intake.set_opaque(path, opaque=said)

    with about(path):
        told = complete(work())
    _print(told, json=json)


def _print(told: Opaque, *, json: bool) -> None:
    if json:
        print_json(told.told)
        return
    where = "default" if told.by_default else told.path or "a directory above"
    print_line(f"opaque: {'yes' if told.opaque else 'no'} by {where}")
