"""Orthanc as Debian ships it, for comparison: its `POST /instances/{id}/anonymize` under the same load."""

import asyncio
import shutil
import socket
import zlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from bench.connection import WrongAnswer
from bench.images import Image
from bench.load import request_head
from bench.plan import Exchange, Plan
from bench.usage import Meter

NAME = "orthanc"
HTTP_THREADS = 50
DICOMWEB = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_START_SECONDS = 60
_OPTIONS = b"{}"


def executable() -> str | None:
    """Where Orthanc is; None when it is not installed."""
    return shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")


@dataclass(frozen=True, slots=True)
class Orthanc:
    """A running Orthanc."""

    port: int
    meter: Meter
    dicom_port: int = 0
    """That devices push images to."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def plan(self, connections: int, exchanges: Sequence[Exchange], seconds: float | None = None) -> Plan:
        return Plan("127.0.0.1", self.port, connections, list(exchanges), seconds)

    def upload(self, image: Image) -> Exchange:
        headers = {"Content-Type": "application/dicom", "Content-Length": str(image.size)}
        head = request_head("POST", "/instances", "127.0.0.1", headers)
        return Exchange("post", head, image, confirms='"Success"')

    async def put(self, images: Sequence[Image]) -> list[Exchange]:
        """Store images; a request to anonymize each. Orthanc's UIDs are new every time: the pixels are checked."""
        exchanges = []
        async with aiohttp.ClientSession() as http:
            for image in images:
                async with http.post(f"{self.url}/instances", data=b"".join(image.chunks())) as answer:
                    stored = await answer.json()
                if stored["Status"] != "Success":
                    raise WrongAnswer(f"Orthanc did not store an image: {stored['Status']}")
                headers = {"Content-Type": "application/json", "Content-Length": str(len(_OPTIONS))}
                head = request_head("POST", f"/instances/{stored['ID']}/anonymize", "127.0.0.1", headers)
                pixels = image.pixel_bytes(0, image.pixels)
                exchanges.append(
                    Exchange(
                        "orthanc", head + _OPTIONS.decode(), tail=len(pixels), adler32=zlib.adler32(pixels)
                    )
                )
        return exchanges


@asynccontextmanager
async def running_orthanc(folder: Path, *, dicomweb: bool = False) -> AsyncIterator[Orthanc]:
    """An Orthanc of its own: loopback, storage below `folder`, its plugin for DICOMweb at most; ended at the end."""
    program = executable()
    if program is None:
        raise FileNotFoundError("Orthanc is not installed (Debian: apt install orthanc)")
    port, dicom_port = free_port(), free_port()
    config = {
        "Name": "bench",
        "StorageDirectory": str(folder / "orthanc"),
        "IndexDirectory": str(folder / "orthanc"),
        "Plugins": [str(DICOMWEB)] if dicomweb else [],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "HttpPort": port,
        "HttpThreadsCount": HTTP_THREADS,
        "HttpCompressionEnabled": False,
        "KeepAlive": True,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomServerEnabled": dicomweb,
        "DicomPort": dicom_port,
    }
    (folder / "orthanc.json").write_bytes(orjson.dumps(config))
    with (folder / "orthanc.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(program, str(folder / "orthanc.json")), stdout=log, stderr=log, start_new_session=True
        )
    try:
        await asyncio.wait_for(_ready(process, port), _START_SECONDS)
        yield Orthanc(port, Meter(process.pid), dicom_port)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _ready(process: asyncio.subprocess.Process, port: int) -> None:
    async with aiohttp.ClientSession() as http:
        while process.returncode is None:
            with suppress(aiohttp.ClientError):
                async with http.get(f"http://127.0.0.1:{port}/system"):
                    return
            await asyncio.sleep(0.1)
    raise RuntimeError("Orthanc ended while it started")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
