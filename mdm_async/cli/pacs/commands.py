"""`mdm pacs echo|find|register|stage|status|vanished|rejected|conformance`."""

from datetime import timedelta
from typing import Any

import typer

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import about, print_json, print_line
from mdm_async.cli.pacs import registering, staging
from mdm_async.cli.pacs.options import Archive, Query, Study
from mdm_async.cli.tables import add_row, print_table, table
from mdm_async.client.told_errors import error_from_details

_COLUMNS = (
    "StudyInstanceUID",
    "PatientName",
    "PatientID",
    "StudyDate",
    "AccessionNumber",
    "StudyDescription",
)


def register(app: typer.Typer) -> None:
    group = typer.Typer(
        help="The hospital's archives: asked, registered at, brought from; and what is rejected.",
        no_args_is_help=True,
    )
    group.command()(echo)
    group.command()(find)
    registering.register(group)
    staging.register(group)
    group.command()(status)
    group.command()(vanished)
    group.command()(rejected)
    group.command()(conformance)
    app.add_typer(group, name="pacs")


def echo(context: typer.Context, name: Archive, json: Json = False) -> None:
    """Ask an archive whether it answers.

    Example: `mdm pacs echo hospital`
    """

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.archives.echo(name)

    with about(name):
        told = complete(work())
        if not told["answers"]:
            raise error_from_details(503, told | {"detail": told["reason"]}, {})
    if json:
        print_json(told)
        return
    print_line(f"{name}: answers in {told['seconds'] * 1000:.0f} ms")


def find(
    context: typer.Context, name: Archive, study: Study = None, query: Query = None, json: Json = False
) -> None:
    """List studies of an archive, and whose they are: it takes an administrator with the right i on /, and is audited.

    Example: `mdm pacs find hospital --query 'Modality=CT&StudyDate=20240101-'`
    """

    async def work() -> dict[str, Any]:
        async with client_of(context) as client:
            return await client.archives.find(name, study=study, query=query)

    with about(name):
        found = complete(work())
    if json:
        print_json(found)
        return
    made = table(*_COLUMNS)
    for one in found["studies"]:
        add_row(made, *(one.get(column, "") for column in _COLUMNS))
    print_table(made)
    if not found["studies"]:
        print_line("no studies")
    if found["more"]:
        print_line(f"the first {len(found['studies'])}; there are more")


def status(context: typer.Context, json: Json = False) -> None:
    """Show the archives of the settings: whether they gave images when last asked; how many images wait for them, come
    just now, and failed to come and are tried again.

    Example: `mdm pacs status`
    """

    async def work() -> list[dict[str, Any]]:
        async with client_of(context) as client:
            return await client.archives.listing()

    found = complete(work())
    if json:
        print_json({"archives": found})
        return
    figures = ("waiting", "coming", "failed")
    made = table("archive", "state", *figures, numbers=figures)
    for one in found:
        state = {True: "answers", None: "no image asked for yet"}.get(one["answers"], one["reason"])
        if one.get("noRoom"):
            state = "no room: the cache is full (mdm cache status)"
        if one["opensInSeconds"]:
            state = f"asked {one['hours']} only, in {timedelta(seconds=one['opensInSeconds'])}"
        add_row(made, one["name"], state, one["waiting"] - one["taken"], one["taken"], one["failed"])
    print_table(made)
    if not found:
        print_line("no archives: the settings name none in [[pacs.sources]]")


def vanished(context: typer.Context, name: Archive, study: Study = None, json: Json = False) -> None:
    """List files that an archive was found to have no more, when it was registered again or asked for them. Only the
    names, which `--files-from` takes.

    Example: `mdm pacs vanished hospital | mdm stat --files-from -`
    """

    async def work() -> list[str]:
        async with client_of(context) as client:
            return [path async for path in client.archives.files(name, study=study, gone=True)]

    with about(name):
        found = complete(work())
    if json:
        print_json({"files": found})
        return
    for path in found:
        print_line(path)


def rejected(context: typer.Context, json: Json = False) -> None:
    """List files that rejection notes hide (IHE IOCM), and the notes: remove a note, and they are there again.

    It takes an administrator, and is audited.

    Example: `mdm pacs rejected`
    """

    async def work() -> list[dict[str, Any]]:
        async with client_of(context) as client:
            return [file async for file in client.archives.rejected()]

    found = complete(work())
    if json:
        print_json({"files": found})
        return
    made = table("file", "since", "why", "note")
    for one in found:
        notes = "\n".join(_named(note) for note in one["notes"])
        add_row(made, _named(one), one["since"], f"{one['reason']} ({one['code']})", notes)
    print_table(made)
    if not found:
        print_line("nothing is hidden by a rejection note")


def _named(one: dict[str, Any]) -> str:
    return str(one["path"] or f"guid:{one['guid']}")


def conformance(json: Json = False) -> None:
    """Print the DICOM conformance statement of this version (PS3.2), as Markdown.

    Example: `mdm pacs conformance > conformance.md`
    """
    # Here, for no other of these commands needs the server's rooms.
    from aiohttp.web import RouteDef

    from mdm_async.pacs.conformance import statement
    from mdm_async.web.dicomweb.routes import routes

    told = statement((route.method, route.path) for route in routes() if isinstance(route, RouteDef))
    if json:
        print_json({"statement": told})
    else:
        for line in told.splitlines():
            print_line(line)
