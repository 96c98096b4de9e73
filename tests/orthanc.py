"""Orthanc as Debian ships it, with its DICOMweb plugin: an archive of the hospital's, on a port of its own."""

import asyncio
import io
import shutil
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import orjson
import pytest

from tests.conftest import CI

_PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
_START_SECONDS = 60
TITLE = "ORTHANC"


def demand_orthanc() -> str:
    """Where it is. A test that lacks it is skipped, and fails where everything must be there."""
    program = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
    if program is not None and _PLUGIN.exists():
        return program
    missing = "Orthanc with its DICOMweb plugin (tests/install-peers orthanc orthanc-dicomweb)"
    if CI:
        pytest.fail(f"missing: {missing}")
    pytest.skip(f"PEERS MISSING: {missing}")


class Orthanc:
    """One that can be killed, frozen and started again, with what it holds."""

    def __init__(self, folder: Path) -> None:
        self._program, self._folder = demand_orthanc(), folder
        self._process: asyncio.subprocess.Process | None = None
        self.port, self.dicom_port = _free_port(), _free_port()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def dicomweb(self) -> str:
        return f"{self.url}/dicom-web"

    async def start(self) -> None:
        held = self._folder / "orthanc"
        config = {
            "Name": "hospital",
            "StorageDirectory": str(held),
            "IndexDirectory": str(held),
            "Plugins": [str(_PLUGIN)],
            "HttpPort": self.port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomAet": TITLE,
            "DicomPort": self.dicom_port,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowGet": True,
            "DicomAlwaysAllowMove": True,
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        file = self._folder / "orthanc.json"
        file.write_bytes(orjson.dumps(config))
        with (self._folder / "orthanc.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                self._program, str(file), stdout=log, stderr=log, start_new_session=True
            )
        await asyncio.wait_for(self._ready(), _START_SECONDS)

    async def _ready(self) -> None:
        assert self._process is not None
        async with aiohttp.ClientSession() as http:
            while self._process.returncode is None:
                with suppress(aiohttp.ClientError):
                    async with http.get(f"{self.dicomweb}/studies?limit=1") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.1)
        raise RuntimeError("Orthanc ended while it started")

    async def kill(self) -> None:
        assert self._process is not None
        with suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    async def store(self, image: bytes) -> str:
        """Its id of the instance."""
        async with (
            aiohttp.ClientSession() as http,
            http.post(f"{self.url}/instances", data=io.BytesIO(image)) as answer,
        ):
            assert answer.status == 200, await answer.text()
            return str((await answer.json(content_type=None))["ID"])

    async def know(self, title: str, port: int) -> None:
        """As somebody whom images are moved to."""
        peer = {"AET": title, "Host": "127.0.0.1", "Port": port}
        async with (
            aiohttp.ClientSession() as http,
            http.put(f"{self.url}/modalities/{title}", json=peer) as answer,
        ):
            assert answer.status == 200, await answer.text()

    async def remove(self, instance: str) -> None:
        async with (
            aiohttp.ClientSession() as http,
            http.delete(f"{self.url}/instances/{instance}") as answer,
        ):
            assert answer.status == 200

    async def file(self, instance: str) -> bytes:
        """What it stored."""
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"{self.url}/instances/{instance}/file") as answer,
        ):
            assert answer.status == 200
            return await answer.read()


@asynccontextmanager
async def running_orthanc(folder: Path) -> AsyncIterator[Orthanc]:
    """Ended at the end."""
    orthanc = Orthanc(folder)
    await orthanc.start()
    try:
        yield orthanc
    finally:
        await orthanc.kill()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
