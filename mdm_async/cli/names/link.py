"""`mdm link`: a research project's own names for images."""

from collections.abc import AsyncIterator, Sequence
from contextlib import nullcontext
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json, Recursive
from mdm_async.cli.output import about, complain, end, error_json, print_json, print_line, stderr_console
from mdm_async.client.client import Client
from mdm_async.client.linking import Linked
from mdm_async.client.linking import link as link_batch
from mdm_async.errors import MdmError

BATCH = 1000


def register(app: typer.Typer) -> None:
    app.command()(link)


def link(
    context: typer.Context,
    sources: Annotated[list[str], typer.Argument(metavar="SRC…", show_default=False)],
    directory: Annotated[str, typer.Argument(metavar="DIR", show_default=False)],
    view: Annotated[str, typer.Option(help="De-identified view that the project gets, and no other.")],
    template: Annotated[
        str | None,
        typer.Option(
            help="Names below DIR; fields patient, study, series, instance, accession in braces, pseudonyms all. "
            "Default: {patient}/{study}/{series}/{instance}.dcm",
            show_default=False,
        ),
    ] = None,
    recursive: Recursive = False,
    json: Json = False,
) -> None:
    """Give a research project names of its own for images, in a directory that is there; nothing is copied.

    Example: `mdm link -r /hospital/ct /projects/cardio --view cardio`
    """

    async def work() -> list[tuple[str, Linked | MdmError]]:
        async with client_of(context) as client:
            files = [path async for path in files_of(client, sources)] if recursive else sources
            return await link_all(client, files, directory, view, template)

    with about(directory):
        outcomes = complete(work())
    failures = [(source, outcome) for source, outcome in outcomes if isinstance(outcome, MdmError)]
    for source, error in failures:
        complain(error, source)
    if json:
        print_json({"files": [_as_json(source, outcome) for source, outcome in outcomes]})
    else:
        for source, outcome in outcomes:
            if isinstance(outcome, Linked):
                print_line(f"{source} -> {outcome.lfn}")
    end(error for _, error in failures)


async def files_of(client: Client, sources: Sequence[str]) -> AsyncIterator[str]:
    """The sources that are files, and all files below those that are directories."""
    for source in sources:
        with about(source):
            if not (await client.stat(source)).is_directory:
                yield source
                continue
            async for entry in client.walk(source):
                if not entry.is_directory:
                    yield entry.path


async def link_all(
    client: Client, files: Sequence[str], directory: str, view: str, template: str | None
) -> list[tuple[str, Linked | MdmError]]:
    """A thousand at a time, with a bar on a terminal."""
    console = stderr_console()
    progress = Progress(
        TextColumn("linked"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )
    outcomes: list[tuple[str, Linked | MdmError]] = []
    with progress if console.is_terminal else nullcontext():
        task = progress.add_task("", total=len(files))
        for start in range(0, len(files), BATCH):
            batch = files[start : start + BATCH]
            outcomes += await link_batch(client.wire, batch, directory, view=view, template=template)
            progress.update(task, completed=len(outcomes))
    return outcomes


def _as_json(source: str, outcome: Linked | MdmError) -> dict[str, Any]:
    if isinstance(outcome, MdmError):
        return {"source": source, "error": error_json(outcome)}
    return {"source": source, "path": outcome.lfn, "guid": outcome.guid}
