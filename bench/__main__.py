"""`python -m bench run|list|compare`: scenarios, their tables and pictures, and what the project promises."""

import asyncio
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bench import (
    dicomweb,
    entries,
    first_byte,
    ingest,
    keys,
    memory,
    metadata,
    nearline,
    nginx,
    orthanc,
    pairs,
    removal,
    retention,
    revocation,
    scrubbing,
    sealed,
    siege,
    storm,
    survivors,
    throughput,
)
from bench.connection import WrongAnswer
from bench.machine import machine
from bench.page import page
from bench.report import Finding, show, show_targets
from bench.saved import PAGE, RESULT, Saved, compared, show_changes
from bench.scale import FULL, QUICK, Scale

_WIDTH = 150
_MOST_WORKERS = 2000
_WRONG, _UNREADABLE = 1, 2
"""Exit codes."""

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


class Scenario(StrEnum):
    STORM = "storm"
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


_OF_PEERS = (nginx.NAME, orthanc.NAME)
_TOLD = {
    Scenario.STORM: "more and more workers pull CTs, clear and sealed, closed and open loop, beside nginx and Orthanc",
    Scenario.THROUGHPUT: "CTs by transfer URL, by name, prepared one by one and in bulk, beside Orthanc's anonymize",
    Scenario.MEMORY: "what slow readers and large uploads cost in memory",
    Scenario.FIRST_BYTE: "how soon the first byte of a range comes, of small and of large files",
    Scenario.SEALED: "sealed streams of large files, and what they cost",
    Scenario.INGEST: "uploads, small and large",
    Scenario.SCRUBBING: "de-identification of heads beside other programs",
    Scenario.SURVIVORS: "what other programs leave of planted identifiers",
    Scenario.REMOVAL: "trees removed beside readers",
    Scenario.RETENTION: "the audit trail pruned beside readers",
    Scenario.PAIRS: "prepareToGet and releaseFiles, beside bare statements",
    Scenario.ENTRIES: "listings and rights in a large catalog",
    Scenario.REVOCATION: "how soon a revoked right ends transfers",
    Scenario.SIEGE: "what a neighbour notices of attacks",
    Scenario.KEYS: "keys on one store and on three",
    Scenario.METADATA: "queries, tasks taken, indexing",
    Scenario.DICOMWEB: "series, uploads and C-STORE beside Orthanc",
    Scenario.NEARLINE: "images that an archive has, cold and warm",
}

Json = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]


@app.command("list")
def list_(json: Json = False) -> None:
    """What can be measured.

    Example: python -m bench list
    """
    if json:
        _print_json([{"scenario": each.value, "measures": told} for each, told in _TOLD.items()])
        return
    table = Table(box=box.SIMPLE_HEAD)
    table.add_column("scenario", no_wrap=True)
    table.add_column("what it measures")
    for each, told in _TOLD.items():
        table.add_row(each.value, told)
    Console().print(table)


@app.command()
def run(
    scenarios: Annotated[list[Scenario] | None, typer.Argument(help="Which ones; all by default.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A few seconds for each scenario.")] = False,
    workers: Annotated[
        str, typer.Option(help="How many at once, one after the other: storm.")
    ] = "1,8,32,128",
    duration: Annotated[float | None, typer.Option(min=0.1, help="Seconds of each round.")] = None,
    peers: Annotated[str, typer.Option(help="Whom to compare with; '' for nobody.")] = ",".join(_OF_PEERS),
    out: Annotated[Path | None, typer.Option(help="Folder for result.json and report.html.")] = None,
    json: Json = False,
) -> None:
    """Measure a real server under load: speed, memory, time to first byte. Every answer's bytes are checked.

    Example: python -m bench run storm --workers 1,32 --duration 5 --out /tmp/storm
    """
    tables = _tables(json)
    if out is not None:
        _demand_writable(out)
    scale = QUICK if quick else FULL
    if duration is not None:
        scale = replace(scale, seconds=duration)
    how = How(scale, _numbers(workers), _peers(peers))
    began = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
    facts = machine()
    try:
        findings = asyncio.run(measured(how, scenarios or list(Scenario), tables))
    except WrongAnswer as why:
        tables.print(f"[red]a wrong answer ends the run:[/red] {why}")
        raise typer.Exit(_WRONG) from None
    saved = Saved(began, facts, findings)
    if out is not None:
        (out / RESULT).write_bytes(saved.to_json())
        (out / PAGE).write_text(page(saved))
        tables.print(f"written: {out / RESULT}, {out / PAGE}")
    if json:
        sys.stdout.buffer.write(saved.to_json())


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="A run: the folder of its --out, or its result.json.")],
    after: Annotated[Path, typer.Argument(help="Another one.")],
    json: Json = False,
) -> None:
    """What a change did: every figure of two runs, their ratio, and whether it is more than noise.

    Example: python -m bench compare /tmp/before /tmp/after
    """
    try:
        changes = compared(Saved.read(before), Saved.read(after))
    except (OSError, ValueError) as why:
        Console(stderr=True).print(f"[red]{escape(str(why))}[/red]")
        raise typer.Exit(_UNREADABLE) from None
    if json:
        _print_json([{**asdict(each), "ratio": each.ratio} for each in changes])
    else:
        show_changes(changes, _tables(json))


@dataclass(frozen=True, slots=True)
class How:
    scale: Scale
    workers: Sequence[int]
    peers: Sequence[str]

    @property
    def with_orthanc(self) -> bool:
        return orthanc.NAME in self.peers


async def measured(how: How, chosen: list[Scenario], tables: Console) -> list[Finding]:
    """The scenarios one after the other, each with a server and a folder of its own."""
    scale, with_orthanc = how.scale, how.with_orthanc
    measures: dict[Scenario, Callable[[Path], Awaitable[Finding]]] = {
        Scenario.STORM: lambda folder: storm.measure(scale, folder, workers=how.workers, peers=how.peers),
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


def _tables(json: bool) -> Console:
    tables = Console(stderr=json)
    if not tables.is_terminal:
        tables.width = _WIDTH  # Into a file or a pipe: whole tables rather than what fits a narrow screen.
    return tables


def _print_json(tree: Any) -> None:
    sys.stdout.buffer.write(orjson.dumps(tree, option=orjson.OPT_INDENT_2) + b"\n")


def _numbers(text: str) -> list[int]:
    try:
        found = [int(each) for each in text.split(",")]
    except ValueError:
        found = []
    if not found or min(found) < 1 or max(found) > _MOST_WORKERS:
        raise typer.BadParameter(f"give numbers from 1 to {_MOST_WORKERS}, as 1,8,32", param_hint="--workers")
    return found


def _peers(text: str) -> list[str]:
    found = [each for each in text.split(",") if each]
    if unknown := set(found) - set(_OF_PEERS):
        known = ", ".join(_OF_PEERS)
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: there are {known}", param_hint="--peers")
    return found


def _demand_writable(out: Path) -> None:
    """Before it is measured for an hour."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as why:
        raise typer.BadParameter(f"{out}: {why.strerror}", param_hint="--out") from None


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
