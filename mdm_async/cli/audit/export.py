"""`mdm audit export`: the trail as JSON lines."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, BinaryIO

import orjson
import typer
from rich.progress import Progress, TextColumn, TimeElapsedColumn

from mdm_async.cli.audit.filters import Act, By, Guid, Since, Until, filters
from mdm_async.cli.connection import client_of, complete
from mdm_async.cli.options import Json
from mdm_async.cli.output import print_json, stderr_console
from mdm_async.errors import Exists

After = Annotated[
    int | None, typer.Option(min=0, metavar="SEAL", help="Only later seals, and what is not sealed yet.")
]


def register(group: typer.Typer) -> None:
    group.command()(export)


def export(
    context: typer.Context,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Default: stdout.")] = None,
    after: After = None,
    since: Since = None,
    until: Until = None,
    by: By = None,
    guid: Guid = None,
    act: Act = None,
    json: Json = False,
) -> None:
    """Write the trail, a line of JSON a row or seal; `mdm audit verify --export` verifies it if nothing is left out.

    Example: `mdm audit export --out trail.jsonl`
    """

    async def work() -> dict[str, int]:
        counts = {"rows": 0, "seals": 0}
        with ExitStack() as stack:
            file = stack.enter_context(_new(out)) if out is not None else sys.stdout.buffer
            progress = stack.enter_context(counting())
            task = progress.add_task("exporting", rows=0)
            async with client_of(context) as client:
                chosen = filters(since, until, by, guid, act)
                async for lines in client.audit.pages(after=after, **chosen):
                    counts["rows"] += sum(line["kind"] == "row" for line in lines)
                    counts["seals"] += sum(line["kind"] == "seal" for line in lines)
                    file.write(
                        b"".join(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE) for line in lines)
                    )
                    progress.update(task, rows=counts["rows"])
            # Without it, an export that broke off would be taken for a trail that ends there.
            file.write(orjson.dumps({"kind": "end", **counts}, option=orjson.OPT_APPEND_NEWLINE))
            file.flush()
        return counts

    counts = complete(work())
    if json and out is not None:
        print_json({"file": str(out), **counts})


def counting() -> Progress:
    """Rows so far, on stderr, for people only."""
    columns = (TextColumn("{task.description}"), TextColumn("{task.fields[rows]} rows"), TimeElapsedColumn())
    console = stderr_console()
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _new(path: Path) -> BinaryIO:
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
    except FileExistsError:
        raise Exists(f"{path} is already there", remedy="give another name") from None
