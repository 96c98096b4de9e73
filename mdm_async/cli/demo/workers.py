"""The demo's work: images in, and then pulled in every way there is, by many workers side by side."""

import asyncio
import hashlib
import itertools
import random
import time
import zlib
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from mdm_async.cli.demo.images import DemoImage, Scanner
from mdm_async.client.client import Client
from mdm_async.client.pull import Pull
from mdm_async.client.ticket import Ticket
from mdm_async.errors import MdmError, ViewRefused

BATCH: Final = 8
"""Images that a worker prepares in one request."""
RANGES: Final = 4


@dataclass(frozen=True, slots=True)
class Phase:
    """One way of pulling."""

    name: str
    view: str
    sealed: bool
    ranges: bool

    @property
    def identified(self) -> bool:
        return self.view == "identified"


WHOLE_CLEAR: Final = Phase("basic clear", "basic", sealed=False, ranges=False)
PHASES: Final = (
    WHOLE_CLEAR,
    Phase("basic clear ranges", "basic", sealed=False, ranges=True),
    Phase("basic sealed", "basic", sealed=True, ranges=False),
    Phase("basic sealed ranges", "basic", sealed=True, ranges=True),
    Phase("identified sealed", "identified", sealed=True, ranges=False),
)


@dataclass(slots=True)
class Timing:
    """What a phase took: files, bytes, seconds in all, seconds of each request that moved bytes."""

    name: str
    files: int = 0
    bytes: int = 0
    seconds: float = 0
    latencies: list[float] = field(default_factory=list)

    def add(self, size: int, seconds: float) -> None:
        self.bytes += size
        self.latencies.append(seconds)


async def ingest(admin: Client, images: Sequence[DemoImage], workers: int, console: Console) -> Timing:
    """Store all images, every other one sealed; a refusal is noted with its reason."""
    timing = Timing("ingest")

    async def store(batch: Sequence[DemoImage]) -> None:
        for image in batch:
            began = time.perf_counter()
            sealed = image.lfn[-5] in "13579"
            try:
                await admin.put(image.source, image.lfn, sealed=sealed)
            except MdmError as error:
                if error.http >= 500:  # The server's failure, not the file's.
                    image.failures[timing.name] = error
                else:
                    image.reasons.append(f"not stored: {error.detail}")
                continue
            image.stored = True
            timing.files += 1
            timing.add(image.size, time.perf_counter() - began)

    await _share(timing, images, 1, store, workers, console)
    return timing


async def pull_phase(
    client: Client, phase: Phase, images: Sequence[DemoImage], workers: int, console: Console
) -> Timing:
    """Every stored image: prepared in bulk, pulled, taken note of, released."""
    timing = Timing(phase.name)

    async def pull(batch: Sequence[DemoImage]) -> None:
        by_lfn = {image.lfn: image for image in batch}
        prepared = await client.prepare(list(by_lfn), view=phase.view, sealed=phase.sealed)
        try:
            for lfn, error in prepared.failures.items():
                _note_failure(by_lfn[lfn], phase, error)
            for ticket in prepared.tickets:
                image = by_lfn[ticket.surl]
                try:
                    await _pull_one(client, phase, image, ticket, timing)
                except MdmError as error:
                    image.failures[phase.name] = error
        finally:
            await client.release(prepared)

    await _share(timing, [image for image in images if image.stored], BATCH, pull, workers, console)
    return timing


def _note_failure(image: DemoImage, phase: Phase, error: MdmError) -> None:
    if isinstance(error, ViewRefused):
        if error.detail not in image.reasons:
            image.reasons.append(error.detail)
    else:
        image.failures[phase.name] = error


async def _pull_one(client: Client, phase: Phase, image: DemoImage, ticket: Ticket, timing: Timing) -> None:
    pull = Pull(client.wire, ticket)
    ranges = cuts(pull.size, image.lfn) if phase.ranges else [(0, pull.size)]
    scanner = Scanner(image.identifiers if phase is WHOLE_CLEAR else ())
    digest, adler = hashlib.sha256(), zlib.adler32(b"")
    for start, stop in ranges:
        began = time.perf_counter()
        async with aclosing(pull.chunks(start, stop)) as chunks:
            async for chunk in chunks:
                digest.update(chunk)
                adler = zlib.adler32(chunk, adler)
                scanner.feed(chunk)
        timing.add(stop - start, time.perf_counter() - began)
    pull.demand_checksum(adler)
    timing.files += 1
    image.digests[phase.name] = digest.hexdigest()
    image.adlers[phase.name] = ticket.plain_adler32
    image.found += sorted(scanner.found)


def cuts(size: int, seed: str) -> list[tuple[int, int]]:
    """The whole in a few ranges, cut at odd places that are the same each time."""
    places = random.Random(seed).sample(range(1, size), min(RANGES - 1, size - 1))  # noqa: S311 — no secret
    edges = [0, *sorted(places), size]
    return list(itertools.pairwise(edges))


async def _share(
    timing: Timing,
    images: Sequence[DemoImage],
    batch: int,
    work: Callable[[Sequence[DemoImage]], Awaitable[None]],
    workers: int,
    console: Console,
) -> None:
    """Let `workers` take batches until none is left, under a progress bar; measures the whole."""
    batches = iter([images[start : start + batch] for start in range(0, len(images), batch)])
    began = time.perf_counter()
    with _progress(console) as progress:
        bar = progress.add_task(timing.name, total=len(images))

        async def take() -> None:
            for mine in batches:
                await work(mine)
                progress.advance(bar, len(mine))

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(take())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
    timing.seconds = time.perf_counter() - began


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:20}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
