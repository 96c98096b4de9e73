"""`mdm keys rekey`: images encrypted anew under other keys, shown while it goes."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mdm_async.cli.connection import client_of
from mdm_async.cli.files_from import FilesFrom, all_names
from mdm_async.cli.keys.of_images import show_outcomes
from mdm_async.cli.names.commands import Lfns
from mdm_async.cli.options import Json
from mdm_async.cli.output import on_interrupt, stderr_console
from mdm_async.cli.settled import settled
from mdm_async.errors import MdmError, Unavailable

_FORM = "%Y-%m-%dT%H:%M:%SZ"


def register(group: typer.Typer) -> None:
    group.command()(rekey)


def rekey(
    context: typer.Context,
    names: Lfns = None,
    before: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", _FORM],
            help="Only keys from before then (UTC, by the server's clock): to go on where it was stopped.",
        ),
    ] = None,
    files_from: FilesFrom = None,
    json: Json = False,
) -> None:
    """Give files' images other keys: all that is stored of them is encrypted anew, and no byte of any view changes.

    What is being read is read to its end; then the keys before are destroyed, and what lies under them. Sealed transfer
    URLs from before answer 410: prepare again. It needs the right w. Keys that were changed a moment ago are left.

    Example: `mdm keys rekey /demo/a.dcm`

    Example: `mdm meta find 'Modality = "CT"' --path /demo | mdm keys rekey --files-from -`
    """
    paths = all_names(names, files_from)
    # Of a run that goes on with an earlier one, that one's: it is gone on with, not begun anew.
    go_on = f"run it again with --before {(before or datetime.now(UTC)).strftime(_FORM)}"
    console = stderr_console()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )

    async def work(progress: Progress) -> dict[str, dict[str, Any]]:
        task, done = progress.add_task("encrypted anew", total=len(paths)), 0

        def on_progress(files: int) -> None:
            nonlocal done
            done += files
            progress.advance(task, files)

        async with client_of(context) as client:
            try:
                return await client.keys.rekey(
                    paths,
                    before=before.replace(tzinfo=UTC) if before is not None else None,
                    on_progress=on_progress,
                )
            except MdmError as error:
                if done or isinstance(
                    error, Unavailable
                ):  # Of those that were asked for last, some may be done.
                    what = f"{done} of {len(paths)} files were gone through; {go_on}"
                    error.remedy = f"{error.remedy}; {what}" if error.remedy else what
                raise

    with (
        Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress,
        on_interrupt("images that were done have other keys", go_on),
    ):
        outcomes = settled(work(progress))
    show_outcomes(outcomes, _told, json=json)


def _told(found: dict[str, Any]) -> str:
    what = "has keys" if found["changed"] else "keeps its keys (so new, or older ones may be in use)"
    return f"{found['guid']} {what} of generation {found['generation']}, registration {found['registration']}"
