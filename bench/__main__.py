"""`python -m bench`: all scenarios, their tables, and what the project promises."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from bench import (
    dicomweb,
    entries,
    first_byte,
    ingest,
    keys,
    memory,
    metadata,
    nearline,
    pairs,
    removal,
    retention,
    revocation,
    scrubbing,
    sealed,
    siege,
    survivors,
    throughput,
)
from bench.connection import WrongAnswer
from bench.report import Finding, as_json, show, show_targets
from bench.scale import FULL, QUICK, Scale

_WIDTH = 150

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


class Scenario(StrEnum):
    THROUGHPUT = "throughput"
    MEMORY = "memory"
    FIRST_BYTE = "first-byte"
    SEALED = "sealed"
    INGEST = "ingest"
    SCRUBBING = "scrubbing"
    SURVIVORS = "survivors"
    REMOVAL = "removal"
    RETENTION = "retention"
    PAIRS = "pairs"
    ENTRIES = "entries"
    REVOCATION = "revocation"
    SIEGE = "siege"
    KEYS = "keys"
    METADATA = "metadata"
    DICOMWEB = "dicomweb"
    NEARLINE = "nearline"


@app.command()
def bench(
    quick: Annotated[bool, typer.Option("--quick", help="A few seconds for each scenario.")] = False,
    only: Annotated[list[Scenario] | None, typer.Option(help="This scenario; may be repeated.")] = None,
    orthanc: Annotated[bool, typer.Option(help="Compare with Debian's Orthanc.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure a real server under load: speed, memory, time to first byte. Every answer's bytes are checked.

    Example: python -m bench --quick --only throughput --only memory
    """
    chosen = only or list(Scenario)
    tables = Console(stderr=json)
    if not tables.is_terminal:
        tables.width = _WIDTH  # Into a file or a pipe: whole tables rather than what fits a narrow screen.
    try:
        findings = asyncio.run(run(QUICK if quick else FULL, chosen, tables, with_orthanc=orthanc))
    except WrongAnswer as why:
        tables.print(f"[red]a wrong answer ends the run:[/red] {why}")
        raise typer.Exit(1) from None
    if json:
        sys.stdout.buffer.write(orjson.dumps(as_json(findings), option=orjson.OPT_INDENT_2) + b"\n")


async def run(scale: Scale, chosen: list[Scenario], tables: Console, *, with_orthanc: bool) -> list[Finding]:
    """The scenarios one after the other, each with a server and a folder of its own."""
    measures: dict[Scenario, Callable[[Path], Awaitable[Finding]]] = {
        Scenario.THROUGHPUT: lambda folder: throughput.measure(scale, folder, with_orthanc=with_orthanc),
        Scenario.MEMORY: lambda folder: memory.measure(scale, folder),
        Scenario.FIRST_BYTE: lambda folder: first_byte.measure(scale, folder),
        Scenario.SEALED: lambda folder: sealed.measure(scale, folder),
        Scenario.INGEST: lambda folder: ingest.measure(scale, folder),
        Scenario.SCRUBBING: lambda folder: scrubbing.measure(scale, folder),
        Scenario.ENTRIES: lambda folder: entries.measure(scale, folder),
        Scenario.PAIRS: lambda folder: pairs.measure(scale, folder),
        Scenario.SIEGE: lambda folder: siege.measure(scale, folder),
        Scenario.SURVIVORS: lambda folder: survivors.measure(folder, with_orthanc=with_orthanc),
        Scenario.KEYS: lambda folder: keys.measure(scale, folder),
        Scenario.METADATA: lambda folder: metadata.measure(scale, folder),
        Scenario.DICOMWEB: lambda folder: dicomweb.measure(scale, folder, with_orthanc=with_orthanc),
        Scenario.NEARLINE: lambda folder: nearline.measure(scale, folder, with_orthanc=with_orthanc),
        Scenario.REMOVAL: removal.measure,
        Scenario.RETENTION: retention.measure,
        Scenario.REVOCATION: lambda folder: revocation.measure(folder, 2.5 * scale.seconds),
    }
    findings = []
    for scenario in chosen:
        with _folder() as folder, tables.status(f"measuring: {scenario}"):
            finding = await measures[scenario](folder)
        show(finding, tables)
        findings.append(finding)
    show_targets(findings, tables)
    return findings


@contextmanager
def _folder() -> Iterator[Path]:
    # Resolved, for the system's folder of temporary files may be a link.
    folder = Path(tempfile.mkdtemp(prefix="mdm-bench-")).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    app()
