"""Requests a second of de-identified CTs, by transfer URL and by name, against Orthanc's anonymize."""

import statistics
import zlib
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench import orthanc
from bench.control import wrk
from bench.images import Image, ct
from bench.load import drive, request_head
from bench.plan import Cycle, Exchange, File, Outcome, Plan
from bench.report import Finding, Target
from bench.scale import Scale
from bench.server import Server, get, running_server, surl_of
from bench.usage import Cpu, Meter

BULK = 32
_ONE, _DISTINCT, _ORTHANC = "GET, one transfer URL", "GET, distinct images", "Orthanc anonymize"
_BY_NAME = "GET by name, with a token"
_CYCLE, _BULK = "prepare, GET, release", f"the same, {BULK} files a request"
_PROMISE = "requests/s of Orthanc's anonymize, at least"


@dataclass(slots=True)
class Contestant:
    """One thing that is measured in every round."""

    plan: Plan
    meter: Meter
    control: Callable[[], Awaitable[float | None]] | None = None
    """The rate that wrk measures of the same."""
    outcomes: list[Outcome] = field(default_factory=list)
    controls: list[float | None] = field(default_factory=list)
    cpu: list[Cpu] = field(default_factory=list)

    async def run(self) -> None:
        before = self.meter.cpu()
        self.outcomes.append(await drive(self.plan))
        self.cpu.append(self.meter.cpu() - before)
        if self.control is not None:
            self.controls.append(await self.control())

    @property
    def rates(self) -> list[float]:
        return [outcome.per_second for outcome in self.outcomes]

    def row(self, name: str) -> dict[str, Any]:
        (timing,) = self.outcomes[-1].whole.values()
        requests = sum(outcome.requests for outcome in self.outcomes)
        client = sum(outcome.client_cpu for outcome in self.outcomes)
        controls = [rate for rate in self.controls if rate is not None]
        return {
            "what": name,
            "files/s": statistics.median(self.rates),
            "least": min(self.rates),
            "most": max(self.rates),
            "p50 ms": timing.p50,
            "p95 ms": timing.p95,
            "p99 ms": timing.p99,
            "server CPU ms": sum(cpu.server for cpu in self.cpu) / requests * 1000,
            "Postgres CPU ms": sum(cpu.postgres for cpu in self.cpu) / requests * 1000,
            "client CPU ms": client / requests * 1000,
            "wrk: files/s": statistics.median(controls) if controls else None,
        }


async def measure(scale: Scale, folder: Path, *, with_orthanc: bool) -> Finding:
    """Rounds of each, interleaved; every answer's bytes are checked (Orthanc's: the pixels)."""
    images = [ct(number) for number in range(scale.images)]
    title = f"basic view of a 512 KiB CT, clear, {scale.connections} connections; CPU per file"
    finding = Finding("throughput", title)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server(folder))
        await server.put(images)
        contestants = await _ours(server, images, scale, folder)
        if with_orthanc and orthanc.executable():
            other = await stack.enter_async_context(orthanc.running_orthanc(folder))
            contestants[_ORTHANC] = await _theirs(other, images, scale, folder)
        for _ in range(scale.rounds):
            for contestant in contestants.values():
                await contestant.run()
    finding.rows = [contestant.row(name) for name, contestant in contestants.items()]
    finding.remarks.append(
        "every answer's length and bytes are checked, ours whole, Orthanc's pixels (its UIDs are new each time); "
        "wrk only counts"
    )
    _judge(finding, contestants, with_orthanc)
    return finding


async def _ours(server: Server, images: list[Image], scale: Scale, folder: Path) -> dict[str, Contestant]:
    reads = await _reads(server, images)
    by_name = _by_name(reads, images, server.host, await server.reader())
    connections, seconds = scale.connections, scale.seconds
    files = [
        File(surl_of(image), image.pixels, zlib.adler32(image.pixel_bytes(0, image.pixels)))
        for image in images
    ]
    plans = {
        _ONE: server.plan(connections, reads[:1], seconds=seconds),
        _DISTINCT: server.plan(connections, reads, seconds=seconds),
        _BY_NAME: server.plan(connections, by_name, seconds=seconds),
        _CYCLE: server.plan(connections, cycles=[Cycle([file]) for file in files], seconds=seconds),
        _BULK: server.plan(
            connections,
            cycles=[Cycle(files[start : start + BULK]) for start in range(0, len(files), BULK)],
            seconds=seconds,
        ),
    }
    contestants = {name: Contestant(plan, server.meter) for name, plan in plans.items()}
    contestants[_DISTINCT].control = lambda: wrk(server.url, reads, connections, seconds, folder)
    contestants[_BY_NAME].control = lambda: wrk(server.url, by_name, connections, seconds, folder)
    return contestants


async def _theirs(other: orthanc.Orthanc, images: list[Image], scale: Scale, folder: Path) -> Contestant:
    anonymize = await other.put(images)
    return Contestant(
        other.plan(scale.connections, anonymize, scale.seconds),
        other.meter,
        lambda: wrk(other.url, anonymize, scale.connections, scale.seconds, folder),
    )


async def _reads(server: Server, images: list[Image]) -> list[Exchange]:
    """A GET of each view, whose bytes are first looked at in full."""
    reads = []
    for image, ticket in zip(images, await server.turls(images), strict=True):
        head = await server.view_of(image, ticket)
        checksum = zlib.adler32(image.pixel_bytes(0, image.pixels), zlib.adler32(head))
        reads.append(get("get", ticket, size=ticket.size, adler32=checksum))
    return reads


def _by_name(reads: list[Exchange], images: list[Image], host: str, token: str) -> list[Exchange]:
    """The same in one request, by WebDAV."""
    shown = {"Authorization": f"Bearer {token}"}
    return [
        replace(read, label="by name", head=request_head("GET", f"/dav{surl_of(image)}", host, shown))
        for read, image in zip(reads, images, strict=True)
    ]


def _judge(finding: Finding, contestants: dict[str, Contestant], with_orthanc: bool) -> None:
    theirs = contestants.get(_ORTHANC)
    if theirs is None:
        why = "ORTHANC IS NOT INSTALLED (Debian: apt install orthanc)" if with_orthanc else "not asked for"
        finding.targets.append(Target(_PROMISE, f"no comparison: {why}", None))
        finding.remarks.append(f"no comparison with Orthanc: {why}")
        return
    for name in (_ONE, _DISTINCT, _BY_NAME, _CYCLE, _BULK):
        ratios = _by_round(contestants[name].rates, theirs.rates)
        measured = f"{name}: {_text(ratios)}"
        if name in (_ONE, _DISTINCT, _BY_NAME):
            finding.targets.append(Target(_PROMISE, measured, statistics.median(ratios) >= 1))
        else:
            finding.remarks.append(measured)
    for name in (_DISTINCT, _BY_NAME):
        ours, control = contestants[name].controls, theirs.controls
        if None not in ours and None not in control:
            finding.remarks.append(f"{name}, by wrk: {_text(_by_round(ours, control))}")


def _by_round(ours: list[Any], theirs: list[Any]) -> list[float]:
    """Neighbours in time are compared with each other: the machine may have other work."""
    return sorted(our / their for our, their in zip(ours, theirs, strict=True))


def _text(ratios: list[float]) -> str:
    return f"{statistics.median(ratios):.2f} times Orthanc's ({ratios[0]:.2f} … {ratios[-1]:.2f} by round)"
