"""The server that is measured: a real `mdm serve` on a folder of its own, and files put into it."""

import asyncio
import io
import os
import re
import sys
import zlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import aiohttp
import pydicom
from prometheus_client.parser import text_string_to_metric_families

from bench.connection import WrongAnswer
from bench.images import PATIENT, PATIENT_ID, Image
from bench.load import drive, request_head
from bench.plan import Exchange, Outcome, Plan
from bench.usage import Meter
from mdm_async.client.client import Client
from mdm_async.client.ticket import Ticket

FOLDER = "/bench"
_READY = re.compile(rb"mdm: ready at (http://\S+)")
_START_SECONDS = 120


@dataclass(slots=True)
class Server:
    """A running server and its administrator's client."""

    url: str
    token: str
    client: Client
    meter: Meter

    @property
    def host(self) -> str:
        return urlsplit(self.url).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 80

    def plan(self, connections: int, exchanges: Sequence[Exchange] = (), **more: Any) -> Plan:
        authorization = f"Bearer {self.token}"
        return Plan(self.host, self.port, connections, list(exchanges), authorization=authorization, **more)

    async def put(self, images: Sequence[Image], connections: int = 8) -> Outcome:
        """Store images, one prepareToPut and one putDone for all; the outcome is that of the PUTs."""
        surls = {surl_of(image): image for image in images}
        files = [{"surl": surl, "expectedFileSize": image.size} for surl, image in surls.items()]
        prepared = await self.client.wire.srm("prepareToPut", {"files": files, "overwrite": True})
        prepared.demand_all()
        exchanges = [self._upload(file, surls[file["surl"]]) for file, _ in prepared.files()]
        outcome = await drive(self.plan(connections, exchanges))
        done = {"requestToken": prepared.token, "surls": list(surls)}
        (await self.client.wire.srm("putDone", done)).demand_all()
        return outcome

    def _upload(self, file: dict[str, Any], image: Image) -> Exchange:
        headers = {"Content-Type": "application/dicom", "Content-Length": str(image.size)}
        head = request_head("PUT", urlsplit(file["transferURL"]).path, self.host, headers)
        return Exchange("put", head, image)

    async def turls(self, images: Sequence[Image], *, sealed: bool = False) -> list[Ticket]:
        """Transfer URLs of their basic views, in order."""
        prepared = await self.client.prepare([surl_of(i) for i in images], view="basic", sealed=sealed)
        for error in prepared.failures.values():
            raise error
        return list(prepared.tickets)

    async def reader(self) -> str:
        """A new token, as a worker has one: it may read what is here, and no more."""
        made = await self.client.tokens.create(f"reader-{uuid4().hex}", "rlx", path=FOLDER)
        assert made.secret is not None
        return made.secret

    async def view_of(self, image: Image, ticket: Ticket) -> bytes:
        """The head of a view, once all of the view was read and found right: de-identified, the same pixels."""
        served = bytearray()
        checksum = 1
        async with await self.client.open(ticket.surl, prepared=ticket) as file:
            async for chunk in file.pull.chunks():
                checksum = zlib.adler32(chunk, checksum)
                served += chunk[: max(0, file.pull.size - image.pixels - len(served))]
            file.pull.demand_checksum(checksum)
        head = bytes(served)
        wanted = zlib.adler32(head)
        for index in range(image.frames):
            wanted = zlib.adler32(image.frame(index), wanted)
        described = pydicom.dcmread(io.BytesIO(head), stop_before_pixels=True)
        if wanted != checksum or described.PatientIdentityRemoved != "YES":
            raise WrongAnswer(f"{ticket.surl}: the view is not the image's, de-identified")
        if PATIENT.encode() in head or PATIENT_ID.encode() in head:
            raise WrongAnswer(f"{ticket.surl}: the view holds its patient's name")
        return head

    async def decrypted(self, kind: str) -> float:
        """How many stored segments of that kind of part were decrypted so far."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.url}/metrics") as answer:
            text = await answer.text()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == "mdm_segments_decrypted_total" and sample.labels["kind"] == kind:
                    return sample.value
        return 0.0


def surl_of(image: Image) -> str:
    return f"{FOLDER}/{image.number:06}-{image.frames}.dcm"


def get(
    label: str, ticket: Ticket, *, byte_range: tuple[int, int] | None = None, **expected: Any
) -> Exchange:
    """A GET of a transfer URL; of its bytes start ≤ i < stop when a range is given."""
    url = ticket.url
    headers = {}
    if byte_range is not None:
        headers["Range"] = f"bytes={byte_range[0]}-{byte_range[1] - 1}"
    return Exchange(label, request_head("GET", url.raw_path, str(url.host), headers), **expected)


@asynccontextmanager
async def running_server(
    folder: Path, dsn: str | None = None, settings: Mapping[str, str] | None = None
) -> AsyncIterator[Server]:
    """`mdm serve` with its data below `folder`, on a free port; ended at the end. `dsn`: of another Postgres than the
    one that comes along; `settings`: variables of the environment."""
    data = folder / "data"
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("MDM_", "BEARER_TOKEN"))}
    environment |= settings or {}
    if dsn is not None:
        environment["MDM_DATABASE__DSN"] = dsn
    with (folder / "server.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "mdm_async.cli", "serve", "--data", str(data), "--port", "0"),
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env=environment,
            start_new_session=True,
        )
    try:
        url = await asyncio.wait_for(_ready(process, folder), _START_SECONDS)
        token = (data / "secrets" / "admin.token").read_text().strip()
        async with Client(url, token) as client:
            await client.mkdir(FOLDER)
            yield Server(url, token, client, Meter(process.pid))
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def _ready(process: asyncio.subprocess.Process, folder: Path) -> str:
    assert process.stdout is not None
    async for line in process.stdout:
        if match := _READY.search(line):
            return match[1].decode()
    raise RuntimeError((folder / "server.log").read_text()[-2000:])
