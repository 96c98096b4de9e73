"""`mdm pacs register`: names for what an archive has, shown while they are given."""

from collections import Counter
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import Failed, about, complain, on_interrupt, print_json, print_line, stderr_console
from mdm_async.cli.pacs.options import Archive, Query, Study
from mdm_async.errors import BadPath, Forbidden, MdmError, NotADirectory, NotFound

_COUNTED = ("studies", "registered", "there", "vanished")


def register(group: typer.Typer) -> None:
    group.command("register")(register_)


def register_(
    context: typer.Context,
    name: Archive,
    path: Annotated[str, typer.Option(help="Directory that the names go below.", show_default=False)],
    study: Study = None,
    query: Query = None,
    template: Annotated[
        str | None,
        typer.Option(
            help="Names below the directory; fields patient, study, series, instance, accession in braces, pseudonyms "
            "all; and subject, as the project's mapping has it. "
            "Default: {patient}/{study}/{series}/{instance}.dcm",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Give images of an archive names here, in a directory that is there; they stay where they are until asked for.

    Without --study or --query it is all that the archive has. A repetition finds what is there, adds what is new, and
    marks what the archive has no more.

    Example: `mdm pacs register hospital --path /pacs/hospital --query 'Modality=CT'`
    """
    counts, failed = Counter[str](), Counter[str]()
    console = stderr_console()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())

    async def work(progress: Progress) -> None:
        async with client_of(context) as client:
            with about(name):
                total = await client.archives.count(name, study=study, query=query)
            task = progress.add_task("studies", total=total)
            pages = client.archives.register(name, path, study=study, query=query, template=template)
            try:
                async for page in pages:
                    counts.update({key: page[key] for key in _COUNTED})
                    failed.update(page["failed"])
                    progress.update(task, advance=page["studies"])
            except (BadPath, Forbidden, NotADirectory, NotFound) as why:
                raise Failed(why, path) from why
            except MdmError as why:
                raise Failed(why, name) from why

    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
        on_interrupt("what was registered stays", "run it again: it finds what is there"),
    ):
        complete(work(progress))
    for reason, count in failed.items():
        complain(MdmError(f"{count} not registered: {reason}"), name)
    if json:
        print_json({**{key: counts[key] for key in _COUNTED}, "failed": failed})
    else:
        studies = "1 study" if counts["studies"] == 1 else f"{counts['studies']} studies"
        gone = f", {counts['vanished']} have vanished from the archive" if counts["vanished"] else ""
        print_line(
            f"{name}: {studies}, {counts['registered']} images registered, {counts['there']} were there{gone}"
        )
    if failed:
        raise typer.Exit(1)
