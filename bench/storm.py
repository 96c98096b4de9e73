"""The worker storm: more and more workers pull images at once, clear and sealed, beside nginx and Orthanc."""

import asyncio
import statistics
import time
import zlib
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from bench import nginx, orthanc
from bench.images import Image, ct
from bench.load import drive
from bench.plan import Exchange, Outcome, Plan, Timing
from bench.plot import Plot
from bench.report import Finding
from bench.scale import Scale
from bench.server import Server, get, running_server
from bench.usage import Cpu, Meter

NGINX, ORTHANC = nginx.NAME, orthanc.NAME
PEERS: Final = (NGINX, ORTHANC)
WORKERS: Final = (1, 8, 32, 128)
_CLEAR, _SEALED = "clear", "sealed"
_THEIRS: Final = {NGINX: "nginx, a plain file", ORTHANC: "Orthanc anonymize"}
_OFFERED: Final = (0.25, 0.5, 0.75)
"""Of the most that was had, in the open loop."""
_SAMPLE = 0.25


@dataclass(slots=True)
class Contestant:
    """What is asked of whom; what came of it, by number of workers, a round each."""

    plan: Plan
    meter: Meter
    most: int = 1 << 20
    """Connections that it takes at once."""
    outcomes: dict[int, list[Outcome]] = field(default_factory=dict)
    cpu: dict[int, list[Cpu]] = field(default_factory=dict)

    async def run(self, workers: int) -> None:
        before = self.meter.cpu()
        outcome = await drive(replace(self.plan, connections=min(workers, self.most)))
        self.outcomes.setdefault(workers, []).append(outcome)
        self.cpu.setdefault(workers, []).append(self.meter.cpu() - before)

    def rates(self, workers: int) -> list[float]:
        return [outcome.per_second for outcome in self.outcomes[workers]]

    def rate(self, workers: int) -> float:
        return statistics.median(self.rates(workers))

    def timing(self, workers: int) -> Timing:
        """Of the last round."""
        (timing,) = self.outcomes[workers][-1].whole.values()
        return timing

    def cpu_ms(self, workers: int) -> tuple[float, float]:
        """Of the server with its workers, and of Postgres, a file."""
        files = sum(outcome.requests for outcome in self.outcomes[workers])
        used = self.cpu[workers]
        own = sum(each.server + each.workers for each in used)
        return own / files * 1000, sum(each.postgres for each in used) / files * 1000


@dataclass(slots=True)
class Course:
    """A process over time: seconds since the beginning; cores that it used, and its memory in MiB."""

    cores: list[tuple[float, float]] = field(default_factory=list)
    memory: list[tuple[float, float]] = field(default_factory=list)


async def measure(
    scale: Scale, folder: Path, *, workers: Sequence[int] = WORKERS, peers: Collection[str] = PEERS
) -> Finding:
    """Rounds of each, interleaved, at each number of workers; then an open loop at shares of the best rate."""
    finding = Finding("storm", "basic view of a 512 KiB CT, by its transfer URL; CPU a file")
    images = [ct(number) for number in range(scale.images)]
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server(folder))
        await server.put(images)
        contestants = await _ours(server, images, scale)
        for peer in peers:
            if (theirs := await _peer(stack, peer, folder, images, scale)) is not None:
                contestants[_THEIRS[peer]] = theirs
            else:
                finding.remarks.append(
                    f"NO COMPARISON: {peer.upper()} IS NOT INSTALLED (Debian: apt install {peer})"
                )
        course = await stack.enter_async_context(_followed(server.meter))
        for count in workers:
            for _ in range(scale.rounds):
                for contestant in contestants.values():
                    await contestant.run(count)
        offered = await _open_loop(contestants[_CLEAR], workers)
    finding.rows = [
        _row(name, contestant, count, contestants)
        for count in workers
        for name, contestant in contestants.items()
    ]
    finding.plots = [*_over_workers(contestants, workers), *_open_plots(offered), *_over_time(course)]
    finding.rows += [_offered_row(share, outcome) for share, _, outcome in offered]
    due = ", ".join(f"{rate:,.0f}" for _, rate, _ in offered)
    finding.remarks.append(f"due a second in the open loop: {due}")
    finding.remarks.append(
        "every answer's length and bytes are checked, of Orthanc's its pixels; the load is one process of its own on "
        f"the same machine. Orthanc is asked by {orthanc.HTTP_THREADS} connections at most, as many as it has threads. "
        "In the open loop files are due at fixed times and timed from then on"
    )
    return finding


async def _ours(server: Server, images: list[Image], scale: Scale) -> dict[str, Contestant]:
    clear = []
    for image, ticket in zip(images, await server.turls(images), strict=True):
        head = await server.view_of(image, ticket)
        checksum = zlib.adler32(image.pixel_bytes(0, image.pixels), zlib.adler32(head))
        clear.append(get(_CLEAR, ticket, size=ticket.size, adler32=checksum))
    sealed = [
        get(_SEALED, ticket, size=ticket.size, adler32=int(ticket.adler32, 16))
        for ticket in await server.turls(images, sealed=True)
    ]
    return {
        name: Contestant(server.plan(1, reads, seconds=scale.seconds), server.meter)
        for name, reads in ((_CLEAR, clear), (_SEALED, sealed))
    }


async def _peer(
    stack: AsyncExitStack, peer: str, folder: Path, images: list[Image], scale: Scale
) -> Contestant | None:
    """None when it is not installed."""
    if peer == NGINX and nginx.executable():
        files = await stack.enter_async_context(nginx.running_nginx(folder))
        exchanges = [_plain_file(files, image) for image in images]
        return Contestant(Plan("127.0.0.1", files.port, 1, exchanges, scale.seconds), files.meter)
    if peer == ORTHANC and orthanc.executable():
        other = await stack.enter_async_context(orthanc.running_orthanc(folder))
        # Connections beyond its threads it breaks.
        plan = other.plan(1, await other.put(images), scale.seconds)
        return Contestant(plan, other.meter, orthanc.HTTP_THREADS)
    return None


def _plain_file(files: nginx.Nginx, image: Image) -> Exchange:
    content = b"".join(image.chunks())
    return files.get(f"{image.number}.dcm", content, zlib.adler32(content))


async def _open_loop(contestant: Contestant, workers: Sequence[int]) -> list[tuple[float, float, Outcome]]:
    """The share, the rate that was offered, what came of it; with as many connections as there were workers."""
    best = max(contestant.rate(count) for count in workers)
    found = []
    for share in _OFFERED:
        rate = share * best
        plan = replace(contestant.plan, connections=max(workers), rate=rate)
        found.append((share, rate, await drive(plan)))
    return found


def _row(name: str, contestant: Contestant, count: int, all_: dict[str, Contestant]) -> dict[str, Any]:
    timing, (own, postgres) = contestant.timing(count), contestant.cpu_ms(count)
    rates = contestant.rates(count)
    row = {
        "what": f"{name}, {count} workers",
        "files/s": statistics.median(rates),
        "least": min(rates),
        "most": max(rates),
        "p50 ms": timing.p50,
        "p95 ms": timing.p95,
        "p99 ms": timing.p99,
        "p99.9 ms": timing.p999,
        "CPU ms": own,
        "Postgres CPU ms": postgres,
    }
    for peer in PEERS:
        their = all_.get(_THEIRS[peer])
        row[f"/ {peer}"] = (
            statistics.median(a / b for a, b in zip(rates, their.rates(count), strict=True))
            if their is not None and their is not contestant
            else None
        )
    return row


def _offered_row(share: float, outcome: Outcome) -> dict[str, Any]:
    (timing,) = outcome.whole.values()
    row: dict[str, Any] = {
        "what": f"{_CLEAR}, open loop at {share:.0%} of the best",  # the same in each run, to be compared
        "files/s": outcome.per_second,
        "least": None,
        "most": None,
        "p50 ms": timing.p50,
        "p95 ms": timing.p95,
        "p99 ms": timing.p99,
        "p99.9 ms": timing.p999,
        "CPU ms": None,
        "Postgres CPU ms": None,
    }
    return row | {f"/ {peer}": None for peer in PEERS}


def _over_workers(contestants: dict[str, Contestant], workers: Sequence[int]) -> list[Plot]:
    rates = Plot("throughput", "workers", "files/s", log_x=True)
    slowest = Plot("the slowest hundredth", "workers", "p99 ms", log_x=True)
    cpu = Plot("CPU of the server, Postgres with it", "workers", "ms a file", log_x=True)
    ratio = Plot("beside peers", "workers", "times theirs, by files/s", log_x=True)
    for name, contestant in contestants.items():
        rates.series[name] = [(count, contestant.rate(count)) for count in workers]
        slowest.series[name] = [(count, contestant.timing(count).p99) for count in workers]
        cpu.series[name] = [(count, sum(contestant.cpu_ms(count))) for count in workers]
    for peer in PEERS:
        if (their := contestants.get(_THEIRS[peer])) is not None:
            for name in (_CLEAR, _SEALED):
                line = [(count, contestants[name].rate(count) / their.rate(count)) for count in workers]
                ratio.series[f"{name} / {peer}"] = [(float(count), value) for count, value in line]
    own = Plot(f"{_CLEAR}: until the last byte", "workers", "ms", log_x=True)
    for label, at in (("p50", "p50"), ("p95", "p95"), ("p99", "p99"), ("p99.9", "p999")):
        own.series[label] = [(count, getattr(contestants[_CLEAR].timing(count), at)) for count in workers]
    return [rates, slowest, own, cpu, ratio]


def _open_plots(offered: Sequence[tuple[float, float, Outcome]]) -> list[Plot]:
    plot = Plot(f"{_CLEAR}: files that are due at fixed times", "due a second", "ms from when it was due")
    for label, at in (("p50", "p50"), ("p99", "p99"), ("p99.9", "p999")):
        line = []
        for _, rate, outcome in offered:
            (timing,) = outcome.whole.values()
            line.append((rate, float(getattr(timing, at))))
        plot.series[label] = line
    return [plot]


def _over_time(course: Course) -> list[Plot]:
    return [
        Plot("server: CPU", "seconds", "cores", {"server and Postgres": course.cores}),
        Plot("server: resident memory", "seconds", "MiB", {"server": course.memory}),
    ]


@asynccontextmanager
async def _followed(meter: Meter) -> AsyncIterator[Course]:
    course = Course()
    following = asyncio.create_task(_follow(meter, course))
    try:
        yield course
    finally:
        following.cancel()


async def _follow(meter: Meter, course: Course) -> None:
    began = last = time.perf_counter()
    before = meter.cpu()
    while True:
        await asyncio.sleep(_SAMPLE)
        now, used = time.perf_counter(), meter.cpu()
        spent = used - before
        cores = (spent.server + spent.workers + spent.postgres) / (now - last)
        course.cores.append((now - began, cores))
        course.memory.append((now - began, meter.resident() / (1 << 20)))
        before, last = used, now
