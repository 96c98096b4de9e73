"""How soon the first byte of an image comes that an archive has: from prepareToGet, with all waits of a worker's
client; beside it, the archive's own first byte.
"""

import io
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pydicom
from yarl import URL

from bench import orthanc
from bench.connection import WrongAnswer
from bench.images import PATIENT, PATIENT_ID, Image, ct
from bench.load import timing
from bench.report import Finding, Target
from bench.scale import Scale
from bench.server import FOLDER, Server, running_server

_COLD, _WARM = 500.0, 10.0
"""Milliseconds to the first byte."""
_PROMISE = f"first byte of an image that an archive has: {_COLD:.0f} ms; once it is here {_WARM:.0f} ms"
_NAME = "bench"
_ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'


@dataclass(slots=True)
class _Times:
    """Seconds, of one image after the other."""

    first: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)

    def row(self, what: str) -> dict[str, Any]:
        first, whole = timing(self.first), timing(self.whole)
        return {
            "image": what,
            "first byte p50": first.p50,
            "first byte p95": first.p95,
            "first byte p99": first.p99,
            "last byte p50": whole.p50,
            "last byte p95": whole.p95,
            "last byte p99": whole.p99,
        }


async def measure(scale: Scale, folder: Path, *, with_orthanc: bool) -> Finding:
    """One image at a time, over the loopback: each cold once, from an Orthanc by WADO-RS, then warm."""
    finding = Finding("nearline", "512 KiB CTs that an Orthanc has: ms from prepareToGet, waits among it")
    if not (with_orthanc and orthanc.executable() and orthanc.DICOMWEB.exists()):
        finding.targets.append(Target(_PROMISE, "Orthanc or its DICOMweb plugin is missing", None))
        return finding
    images = [ct(number) for number in range(scale.images)]
    async with orthanc.running_orthanc(folder, dicomweb=True) as other:
        await other.put(images)
        source = {"name": _NAME, "dicomweb": f"{other.url}/dicom-web"}
        settings = {"MDM_PACS__SOURCES": orjson.dumps([source]).decode()}
        async with running_server(folder, settings=settings) as server, aiohttp.ClientSession() as http:
            paths = await _registered(server, len(images))
            cold, warm, theirs = _Times(), _Times(), _Times()
            for path in paths:
                await _pull(server, http, path, cold)
            for _ in range(scale.rounds):
                for path in paths:
                    await _pull(server, http, path, warm)
            await _ask(other, http, images, theirs)
    finding.rows = [cold.row("cold"), warm.row("warm"), theirs.row("Orthanc's own WADO-RS")]
    p95 = (finding.rows[0]["first byte p95"], finding.rows[1]["first byte p95"])
    finding.targets.append(
        Target(
            _PROMISE,
            f"p95 {p95[0]:.0f} ms cold, {p95[1]:.1f} ms warm",
            p95[0] <= _COLD and p95[1] <= _WARM,
        )
    )
    return finding


async def _registered(server: Server, count: int) -> list[str]:
    async for _ in server.client.archives.register(_NAME, FOLDER):
        pass
    paths = [path async for path in server.client.archives.files(_NAME)]
    if len(paths) != count:
        raise WrongAnswer(f"{len(paths)} of {count} images were registered")
    return paths


async def _pull(server: Server, http: aiohttp.ClientSession, path: str, times: _Times) -> None:
    """The view `basic`, prepared, read to its end and found right."""
    began = time.perf_counter()
    prepared = await server.client.prepare(path, view="basic")
    ticket = prepared.only()
    body = await _read(http, ticket.url, began, times)
    await server.client.release(prepared)
    if zlib.adler32(body) != int(ticket.adler32, 16):
        raise WrongAnswer("the bytes are not what they must be")
    if PATIENT.encode() in body or PATIENT_ID.encode() in body:
        raise WrongAnswer("a view holds its patient's name")


async def _read(http: aiohttp.ClientSession, url: str | URL, began: float, times: _Times) -> bytes:
    async with http.get(url, headers={"Accept": _ACCEPT}) as answer:
        body = await answer.content.readany()
        times.first.append(time.perf_counter() - began)
        body += await answer.content.read()
    times.whole.append(time.perf_counter() - began)
    return body


async def _ask(
    other: orthanc.Orthanc, http: aiohttp.ClientSession, images: Sequence[Image], times: _Times
) -> None:
    for image in images:
        read = pydicom.dcmread(io.BytesIO(image.head), stop_before_pixels=True)
        uids = (read.StudyInstanceUID, read.SeriesInstanceUID, read.SOPInstanceUID)
        url = "{}/dicom-web/studies/{}/series/{}/instances/{}".format(other.url, *uids)
        if image.pixel_bytes(0, image.pixels) not in await _read(http, url, time.perf_counter(), times):
            raise WrongAnswer("Orthanc's instance has other pixels")
