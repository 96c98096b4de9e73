"""Series by WADO-RS, and images on their way in, beside Orthanc and its DICOMweb plugin, in rounds that alternate."""

import asyncio
import re
import statistics
import time
import zlib
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any
from uuid import uuid4

import orjson

from bench import orthanc
from bench.connection import WrongAnswer
from bench.images import Image, ct, uids_of
from bench.load import drive, request_head
from bench.plan import Exchange, Outcome, Plan
from bench.report import Finding, Target
from bench.scale import Scale
from bench.server import Server, running_server
from bench.usage import Cpu, Meter

_GB = 1e9
_CLIENTS = (1, 8)
_DEVICE = "BENCH"
_RETRIEVED, _UPLOADED, _PUSHED = "series by WADO-RS", "uploads (PUT; POST)", "C-STORE by storescu"
_FIRST = "the same, first time"
_READERS = 4
"""To whom it is the first time, of one client."""
_WANTED = 1.5
_PROMISE = f"series by WADO-RS: {_WANTED} times the MB/s of Orthanc's"
_ANY = 'multipart/related; type="application/dicom"; transfer-syntax=*'
_TOKEN = re.compile(r"Bearer \S+")


@dataclass(frozen=True, slots=True)
class Moved:
    """One round: bytes of images that were moved, all found right."""

    volume: int
    seconds: float
    cpu: Cpu
    outcome: Outcome | None = None

    @property
    def rate(self) -> float:
        """MB/s."""
        return self.volume / 1e6 / self.seconds


@dataclass(slots=True)
class Contestant:
    """One server at one thing."""

    what: str
    who: str
    clients: int
    meter: Meter
    work: Callable[[int], Awaitable[tuple[int, Outcome | None]]]
    """Done by so many at once; gives the bytes that it moved."""
    rounds: list[Moved] = field(default_factory=list)

    async def run(self) -> None:
        before, began = self.meter.cpu(), time.perf_counter()
        volume, outcome = await self.work(self.clients)
        seconds = outcome.seconds if outcome is not None else time.perf_counter() - began
        self.rounds.append(Moved(volume, seconds, self.meter.cpu() - before, outcome))

    @property
    def cpu(self) -> float:
        """Seconds per GB, Postgres among it."""
        spent = sum(one.cpu.server + one.cpu.workers + one.cpu.postgres for one in self.rounds)
        return spent / self._volume

    @property
    def _volume(self) -> float:
        return sum(one.volume for one in self.rounds) / _GB

    def row(self) -> dict[str, Any]:
        outcome = self.rounds[-1].outcome
        timing = next(iter(outcome.whole.values())) if outcome is not None else None
        return {
            "what": f"{self.what}, {self.clients} at once",
            "server": self.who,
            "MB/s": statistics.median(one.rate for one in self.rounds),
            "p50 ms": timing and timing.p50,
            "p95 ms": timing and timing.p95,
            "p99 ms": timing and timing.p99,
            "CPU s/GB": self.cpu,
            "Postgres s/GB": sum(one.cpu.postgres for one in self.rounds) / self._volume,
        }


async def measure(scale: Scale, folder: Path, *, with_orthanc: bool) -> Finding:
    """Every part of an answer is summed: ours of the view `basic`, Orthanc's of the files as they were stored."""
    images = [ct(number) for number in range(scale.images)]
    batch = max(1, scale.uploads // 4)
    fresh = (ct(100_000 + number) for number in count())
    port = orthanc.free_port()
    calling = [{"ae": _DEVICE, "hosts": ["127.0.0.1"], "directory": "/pushed"}]
    settings = {"MDM_PACS__PORT": str(port), "MDM_PACS__CALLING": orjson.dumps(calling).decode()}
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(running_server(folder, settings=settings))
        await server.put(images)
        ours = await _ours(server, images)
        works = {
            _RETRIEVED: partial(_retrieve, server.plan, ours, scale.seconds),
            _FIRST: partial(_retrieve_once, server.plan, partial(_as_another, server, ours)),
            _UPLOADED: partial(_upload, server.put, fresh, batch),
            _PUSHED: partial(_push, "MDM", port, folder, fresh, batch),
        }
        found = _contestants("mdm", server.meter, works)
        if with_orthanc and orthanc.executable() and orthanc.DICOMWEB.exists():
            other = await stack.enter_async_context(orthanc.running_orthanc(folder, dicomweb=True))
            await other.put(images)
            theirs = _theirs(images)

            async def again() -> list[Exchange]:
                return theirs

            works = {
                _RETRIEVED: partial(_retrieve, other.plan, theirs, scale.seconds),
                _FIRST: partial(_retrieve_once, other.plan, again),
                _UPLOADED: partial(_upload, partial(_post, other), fresh, batch),
                _PUSHED: partial(_push, "ORTHANC", other.dicom_port, folder, fresh, batch),
            }
            found = [
                one
                for pair in zip(found, _contestants("Orthanc", other.meter, works), strict=True)
                for one in pair
            ]
        for _ in range(scale.rounds):
            for one in found:
                await one.run()
    finding = Finding("dicomweb", "512 KiB CTs beside Orthanc, clear; CPU with Postgres, per GB of images")
    finding.rows = [one.row() for one in found]
    finding.remarks.append("of uploads by transfer URL, preparing and publishing count as CPU, not as time")
    _judge(finding, found)
    return finding


def _contestants(
    who: str, meter: Meter, works: dict[str, Callable[[int], Awaitable[tuple[int, Outcome | None]]]]
) -> list[Contestant]:
    return [
        Contestant(what, who, clients, meter, work) for what, work in works.items() for clients in _CLIENTS
    ]


async def _retrieve(
    plan: Callable[..., Plan], series: Sequence[Exchange], seconds: float, clients: int
) -> tuple[int, Outcome | None]:
    outcome = await drive(plan(clients, series, seconds=seconds))
    return outcome.volume, outcome


async def _retrieve_once(
    plan: Callable[..., Plan], series: Callable[[], Awaitable[list[Exchange]]], clients: int
) -> tuple[int, Outcome | None]:
    asked = [one for _ in range(_READERS * clients) for one in await series()]
    outcome = await drive(plan(clients, asked))
    return outcome.volume, outcome


async def _as_another(server: Server, series: Sequence[Exchange]) -> list[Exchange]:
    """The same, asked for by somebody to whom nothing is open yet."""
    shown = await server.reader()
    return [replace(one, head=_TOKEN.sub(f"Bearer {shown}", one.head)) for one in series]


async def _upload(
    put: Callable[[Sequence[Image], int], Awaitable[Outcome]],
    fresh: Iterator[Image],
    batch: int,
    clients: int,
) -> tuple[int, Outcome | None]:
    outcome = await put(list(islice(fresh, batch)), clients)
    return outcome.volume, outcome


async def _post(other: orthanc.Orthanc, images: Sequence[Image], clients: int) -> Outcome:
    return await drive(other.plan(clients, [other.upload(one) for one in images]))


async def _push(
    title: str, port: int, folder: Path, fresh: Iterator[Image], batch: int, clients: int
) -> tuple[int, Outcome | None]:
    """One association for each of `clients`. Raises WrongAnswer when one image was not stored."""
    files: defaultdict[int, list[str]] = defaultdict(list)
    volume = 0
    for place, image in enumerate(islice(fresh, batch)):
        file = folder / f"{uuid4().hex}.dcm"
        file.write_bytes(b"".join(image.chunks()))
        files[place % clients].append(str(file))
        volume += image.size
    await asyncio.gather(*(_storescu(title, port, those) for those in files.values()))
    return volume, None


async def _storescu(title: str, port: int, files: Sequence[str]) -> None:
    process = await asyncio.create_subprocess_exec(
        *("storescu", "-aet", _DEVICE, "-aec", title, "127.0.0.1", str(port), *files),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    if process.returncode:
        raise WrongAnswer(f"storescu, to {title}: {said.decode()[-300:]}")


async def _ours(server: Server, images: Sequence[Image]) -> list[Exchange]:
    """Of the series' views, each of whose bytes are first looked at in full."""
    shown = {"Authorization": f"Bearer {await server.reader()}"}
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for image, ticket in zip(images, await server.turls(images), strict=True):
        head = await server.view_of(image, ticket)
        pixels = image.pixel_bytes(0, image.pixels)
        sums[uids_of(head)].append(zlib.adler32(pixels, zlib.adler32(head)))
    return [_series("/dicom-web/@basic", *uids, of, shown) for uids, of in sums.items()]


def _theirs(images: Sequence[Image]) -> list[Exchange]:
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    for image in images:
        sums[uids_of(image.head)].append(image.adler32)
    return [_series("/dicom-web", *uids, of, {}) for uids, of in sums.items()]


def _series(base: str, study: str, series: str, sums: list[int], headers: dict[str, str]) -> Exchange:
    path = f"{base}/studies/{study}/series/{series}"
    head = request_head("GET", path, "127.0.0.1", {"Accept": _ANY, **headers})
    return Exchange("series", head, parts=sorted(sums))


def _judge(finding: Finding, found: Sequence[Contestant]) -> None:
    theirs = {(one.what, one.clients): one for one in found if one.who == "Orthanc"}
    if not theirs:
        finding.targets.append(
            Target(_PROMISE, "no comparison: Orthanc or its DICOMweb plugin is missing", None)
        )
    for one in found:
        other = theirs.get((one.what, one.clients))
        if other is None or one is other:
            continue
        ratios = sorted(our.rate / their.rate for our, their in zip(one.rounds, other.rounds, strict=True))
        ratio = statistics.median(ratios)
        measured = (
            f"{one.what}, {one.clients} at once: {ratio:.2f} times Orthanc's MB/s ({ratios[0]:.2f} … {ratios[-1]:.2f} "
            f"by round), {one.cpu / other.cpu:.2f} times its CPU"
        )
        if one.what in (_RETRIEVED, _FIRST):
            finding.targets.append(Target(_PROMISE, measured, ratio >= _WANTED))
        else:
            finding.remarks.append(measured)
