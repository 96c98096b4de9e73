"""`mdm link`: a research project's own names for images."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mdm_async.cli.connection import client_of
from mdm_async.cli.options import Json, Recursive
from mdm_async.cli.output import about, complain, end, error_json, print_json, print_line, stderr_console
from mdm_async.cli.settled import settled
from mdm_async.client.client import Client
from mdm_async.client.linking import Linked
from mdm_async.client.one_or_many import Outcome
from mdm_async.client.side_by_side import Meter
from mdm_async.errors import MdmError


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
            help="Names below DIR; fields patient, study, series, instance, accession in braces, pseudonyms all; "
            "and subject, as the project's mapping has it. "
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

    async def work() -> dict[str, Linked]:
        async with client_of(context) as client:
            files = [path async for path in files_of(client, sources)] if recursive else sources
            with linked_on(stderr_console()) as meter:
                return await client.link(files, directory, view=view, template=template, meter=meter)

    with about(directory):
        outcomes = settled(work())
    for outcome in outcomes:
        if outcome.error is not None:
            complain(outcome.error, outcome.name)
    if json:
        print_json({"files": [_as_json(outcome) for outcome in outcomes]})
    else:
        for outcome in outcomes:
            if outcome.result is not None:
                print_line(f"{outcome.name} -> {outcome.result.lfn}")
    end(outcome.error for outcome in outcomes)


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


@contextmanager
def linked_on(console: Console) -> Iterator[Meter | None]:
    """A bar on a terminal."""
    if not console.is_terminal:
        yield None
        return
    columns = (TextColumn("linked"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress)


class _Bar:
    """The meter and its only gauge."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._task = progress, progress.add_task("")

    def begin(self, name: str, size: int | None) -> "_Bar":
        self._progress.update(self._task, total=size)
        return self

    def __call__(self, count: int, /) -> None:
        self._progress.advance(self._task, count)

    def end(self, error: MdmError | None) -> None:
        """The bar goes with its progress."""


def _as_json(outcome: Outcome[Linked]) -> dict[str, Any]:
    if outcome.result is None:
        assert outcome.error is not None
        return {"source": outcome.name, "error": error_json(outcome.error)}
    return {"source": outcome.name, "path": outcome.result.lfn, "guid": outcome.result.guid}
