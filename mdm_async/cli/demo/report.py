"""What the demo found: judged, and shown as tables."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mdm_async.cli.demo.images import DemoImage
from mdm_async.cli.demo.workers import PHASES, WHOLE_CLEAR, Timing
from mdm_async.cli.output import in_words, plain

_MIB = 1 << 20
_NAMES = 3
"""File names shown for one reason of refusal; `--json` has all."""


@dataclass(slots=True)
class Report:
    """All that was measured and compared. `faults`: every comparison that failed, in words."""

    images: list[DemoImage]
    workers: int
    phases: list[Timing] = field(default_factory=list)
    comparisons: int = 0
    faults: list[str] = field(default_factory=list)

    @property
    def flawless(self) -> bool:
        return not self.faults

    @property
    def identifiers_sought(self) -> int:
        """In streams that did come out de-identified."""
        return sum(len(image.identifiers) for image in self.images if WHOLE_CLEAR.name in image.digests)

    @property
    def identifiers_found(self) -> int:
        return sum(len(image.found) for image in self.images)

    def judge(self) -> None:
        """Compare all that came out with what it must be."""
        for image in self.images:
            self.comparisons += len(image.digests)
            self.faults += [f"{image.source.name}: {fault}" for fault in _faults(image)]
        if not self.comparisons:
            self.faults.append("nothing came out that could be compared")


def _faults(image: DemoImage) -> Iterator[str]:
    for name, error in image.failures.items():
        yield f"{name}: {error.detail}"
    if not image.stored:
        return
    for identifier in image.found:
        yield f"{len(identifier)} characters of its identifiers came out de-identified"
    whole = image.digests.get(WHOLE_CLEAR.name)
    for phase in PHASES:
        digest = image.digests.get(phase.name)
        expected = image.sha256 if phase.identified else whole
        if phase.name not in image.failures and digest != expected:
            yield f"{phase.name}: not the bytes that it must be"
    adlers = {
        image.adlers[phase.name] for phase in PHASES if phase.name in image.adlers and not phase.identified
    }
    if len(adlers) > 1:
        yield "its checksums disagree"


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile; 0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def as_json(report: Report) -> dict[str, Any]:
    """The same, as one document."""
    return {
        "workers": report.workers,
        "images": len(report.images),
        "stored": sum(image.stored for image in report.images),
        "phases": [
            {
                "name": timing.name,
                "files": timing.files,
                "requests": len(timing.latencies),
                "bytes": timing.bytes,
                "seconds": round(timing.seconds, 3),
                "mib_per_second": round(_rate(timing), 1),
                **{f"p{p}_ms": round(percentile(timing.latencies, p) * 1000, 2) for p in (50, 95, 99)},
            }
            for timing in report.phases
        ],
        "refused": [
            {"source": image.source.name, "reason": reason}
            for image in report.images
            for reason in image.reasons
        ],
        "comparisons": report.comparisons,
        "faults": report.faults,
        "identifiersSought": report.identifiers_sought,
        "identifiersFound": report.identifiers_found,
    }


def show(report: Report, console: Console) -> None:
    """The tables at the demo's end."""
    if any(image.reasons for image in report.images):
        console.print(_refusals(report))
    console.print(_timings(report))
    stored = sum(image.stored for image in report.images)
    console.print(f"{stored} of {len(report.images)} files stored, {report.comparisons} streams compared")
    console.print(
        f"identifiers sought in what came out de-identified: {report.identifiers_sought}, "
        f"found: {report.identifiers_found}"
    )
    for fault in report.faults:
        console.print(f"[red]wrong:[/red] {escape(plain(fault))}")
    if report.flawless:
        console.print("[green]every byte is what it must be[/green]")


def _refusals(report: Report) -> Table:
    by_reason: dict[str, list[str]] = {}
    for image in report.images:
        for reason in image.reasons:
            by_reason.setdefault(reason, []).append(image.source.name)
    table = Table(title="refused", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("files", justify="right")
    table.add_column("because", ratio=3)
    table.add_column("such as", ratio=2)
    for reason, names in sorted(by_reason.items()):
        shown = names if len(names) <= _NAMES else [*names[:_NAMES], f"and {len(names) - _NAMES} more"]
        table.add_row(str(len(names)), escape(plain(reason)), escape(plain(", ".join(shown))))
    return table


def _timings(report: Report) -> Table:
    title = f"{report.workers} workers; p50, p95, p99: milliseconds a pull"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("what", no_wrap=True)
    for heading in ("files", "pulls", "bytes", "MiB/s", "p50", "p95", "p99"):
        table.add_column(heading, justify="right", no_wrap=True)
    for timing in report.phases:
        numbers = [_short(percentile(timing.latencies, p) * 1000) for p in (50, 95, 99)]
        table.add_row(
            timing.name,
            str(timing.files),
            str(len(timing.latencies)),
            in_words(timing.bytes),
            _short(_rate(timing)),
            *numbers,
        )
    return table


def _short(number: float) -> str:
    """Three digits or more, so that the table fits 80 columns."""
    return f"{number:.1f}" if number < 100 else f"{number:.0f}"


def _rate(timing: Timing) -> float:
    return timing.bytes / _MIB / timing.seconds if timing.seconds else 0.0
