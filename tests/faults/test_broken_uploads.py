"""Uploads that end badly, at whatever place: a clear answer, nothing stored, nothing left on disk."""

import asyncio
import os
import random
import threading
from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mdm_async.crypt4gh.exchange import new_private_key, public_key
from mdm_async.crypt4gh.stream import Sealer
from tests.conftest import Server, running_server
from tests.faults.conditions import NOTHING, blob_files, nothing_is_stored, open_blobs, stored, until
from tests.faults.transfers import uploads
from tests.faults.wire import begun
from tests.patience import PATIENCE
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

MIB = 1 << 20
LARGE = made(pixels=5 * MIB, seed=1)
SMALL = made(pixels=20_000, seed=1)


@pytest.fixture(scope="module")
async def server(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Server]:
    """Even small parts are blobs here."""
    dsn = await postgres.fresh_database(migrated)
    data = tmp_path_factory.mktemp("server") / "data"
    async with running_server(data, dsn, blobs={"inline_max": 2048}) as running_:
        yield running_


@dataclass
class Upload:
    """A file that was prepared to be put."""

    server: Server
    surl: str
    url: str
    request: str
    recipient: bytes

    async def done(self, expect: int = 200) -> dict[str, Any]:
        tree = await self.server.srm("putDone", expect=expect, requestToken=self.request, surls=[self.surl])
        line: dict[str, Any] = tree["files"][0]
        return line


async def prepared(server: Server, size: int | None = None) -> Upload:
    surl = f"{await server.directory()}/a.dcm"
    tree = await server.srm("prepareToPut", files=[{"surl": surl, "expectedFileSize": size}])
    (line,) = tree["files"]
    recipient = b64decode(line["uploadRecipient"])
    return Upload(server, surl, line["transferURL"], tree["requestToken"], recipient)


@pytest.fixture
async def upload(server: Server) -> AsyncIterator[Upload]:
    """Prepared on a server that holds nothing, and holds nothing but a good second try's afterwards."""
    assert await stored(server) == NOTHING
    made_ready = await prepared(server)
    yield made_ready
    await until(lambda: not open_blobs(server.data))
    await _emptied(server)


async def _emptied(server: Server) -> None:
    listed = await server.srm("ls", surls=["/"])
    for entry in listed["files"][0].get("subPaths", []):
        await server.srm("rmdir", surl=entry["path"], recursive=True)
    await server.house.sweeper.sweep()
    assert await stored(server) == NOTHING


async def _succeeds_now(upload: Upload) -> None:
    """The same transfer URL takes the file."""
    answer = await upload.server.call("PUT", upload.url, data=LARGE)
    assert answer.status == 201, answer.body
    await upload.done()
    assert (await stored(upload.server))["images"] == 1


@pytest.mark.parametrize("arrived", [0, 5, 200, 5_000, MIB + 70_000, len(LARGE) - 1])
async def test_a_client_that_vanishes_leaves_nothing(upload: Upload, arrived: int) -> None:
    async with begun("PUT", upload.url, Content_Length=str(len(LARGE))) as client:
        await client.send(LARGE[:arrived])
        await until(lambda: uploads() == 1)
        if arrived > MIB:
            await until(lambda: blob_files(upload.server.data))
        client.vanish()
    await until(lambda: uploads() == 0)
    await until(lambda: nothing_is_stored(upload.server))
    await _succeeds_now(upload)


async def test_clients_that_vanish_at_random_moments_leave_nothing(upload: Upload) -> None:
    """Wherever in its awaits an upload is cancelled: row and file go, or never were."""
    chance = random.Random(2)

    async def vanishing(pause: float) -> None:
        begin = await prepared(upload.server)
        async with begun("PUT", begin.url, Content_Length=str(len(LARGE))) as client:
            sending = asyncio.ensure_future(client.send(LARGE[: chance.choice((2 * MIB, len(LARGE) - 1))]))
            await asyncio.sleep(pause)  # the moment is the test
            client.vanish()
            await asyncio.gather(sending, return_exceptions=True)

    for _ in range(5):
        async with asyncio.TaskGroup() as group:
            for _ in range(6):
                group.create_task(vanishing(chance.uniform(0, 0.15)))
    await until(lambda: uploads() == 0)
    await until(lambda: nothing_is_stored(upload.server))
    await _succeeds_now(upload)


async def test_a_client_that_vanishes_while_a_file_is_made_leaves_nothing(
    upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is slow: the file comes to be only after the upload was cancelled."""
    making, vanished, working = threading.Event(), threading.Event(), os.open

    def slow(path: str | Path, flags: int, *mode: int) -> int:
        if flags & os.O_CREAT and str(path).startswith(str(upload.server.data / "blobs")):
            making.set()
            vanished.wait(PATIENCE)
        return working(path, flags, *mode)

    monkeypatch.setattr(os, "open", slow)
    async with begun("PUT", upload.url, Content_Length=str(len(LARGE))) as client:
        # No more than is taken at once: a server that has stopped reading does not notice that a client has gone.
        await client.send(LARGE[: MIB + 70_000])
        await until(making.is_set)
        client.vanish()
        cancelled = asyncio.get_running_loop().time() + 0.2  # nothing tells that the server has noticed
        await until(lambda: asyncio.get_running_loop().time() > cancelled)
        vanished.set()
    await until(lambda: uploads() == 0)
    await until(lambda: not open_blobs(upload.server.data))
    await until(lambda: nothing_is_stored(upload.server))


async def test_a_chunked_upload_that_breaks_off_leaves_nothing(upload: Upload) -> None:
    async with begun("PUT", upload.url, Transfer_Encoding="chunked") as client:
        await client.send(f"{2 * MIB:x}\r\n".encode() + LARGE[: 2 * MIB] + b"\r\n")
        await until(lambda: blob_files(upload.server.data))
        client.vanish()
    await until(lambda: nothing_is_stored(upload.server))
    await _succeeds_now(upload)


NOT_DICOM = {
    "empty": b"",
    "text": b"Dear radiologist, " * 100,
    "zeros": bytes(MIB),
    "no magic": LARGE[:128] + b"MCID" + LARGE[132:],
    "an end in the meta": LARGE[:200],
    "an end in the head": SMALL[:1_000],
    "an end in the pixels": LARGE[: 4 * MIB],
    "an end in the tail": LARGE[:-3],
    "junk after the tail": LARGE + b"\xff" * 7,
}


@pytest.mark.parametrize("content", NOT_DICOM.values(), ids=NOT_DICOM.keys())
async def test_what_is_no_whole_dicom_file_is_refused(upload: Upload, content: bytes) -> None:
    answer = await upload.server.call("PUT", upload.url, data=content)
    assert answer.status == 422
    assert answer.tree["detail"]
    assert await stored(upload.server) == NOTHING
    line = await upload.done(expect=410)
    assert line["status"]["statusCode"] == "SRM_FILE_LIFETIME_EXPIRED"
    await _succeeds_now(upload)


async def _in_chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1 << 16):
        yield data[start : start + (1 << 16)]


@pytest.mark.parametrize(("announced", "status"), [(-1, 413), (-3 * MIB, 413), (1, 422)])
async def test_another_size_than_announced_is_refused(server: Server, announced: int, status: int) -> None:
    upload = await prepared(server, len(LARGE) + announced)
    answer = await server.call("PUT", upload.url, data=_in_chunks(LARGE))
    assert answer.status == status, answer.body
    assert await stored(server) == NOTHING
    answer = await server.call("PUT", upload.url, data=LARGE)  # with a Content-Length that tells at once
    assert answer.status == 422
    assert await stored(server) == NOTHING


async def test_more_than_any_upload_may_have_is_refused(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dsn = await postgres.fresh_database(migrated)
    data = tmp_path_factory.mktemp("limited") / "data"
    async with running_server(data, dsn, transfers={"max_upload": 3 * MIB}) as server:
        upload = await prepared(server)
        answer = await server.call("PUT", upload.url, data=_in_chunks(LARGE))
        assert answer.status == 413
        assert await stored(server) == NOTHING


def sealed(data: bytes, recipient: bytes) -> bytes:
    sealer = Sealer(recipient)
    return b"".join([sealer.header(), *sealer.feed(data), *sealer.close()])


async def test_bytes_sealed_to_somebody_else_are_refused(upload: Upload) -> None:
    answer = await upload.server.call("PUT", upload.url, data=sealed(LARGE, public_key(new_private_key())))
    assert answer.status == 422
    assert "Crypt4GH" in answer.tree["title"] or "Crypt4GH" in answer.tree["detail"]
    assert await stored(upload.server) == NOTHING
    await _succeeds_now(upload)


@pytest.mark.parametrize("place", [150, 3 * MIB, -1])
async def test_a_seal_that_breaks_on_the_way_leaves_nothing(upload: Upload, place: int) -> None:
    stream = bytearray(sealed(LARGE, upload.recipient))
    stream[place] ^= 1
    answer = await upload.server.call("PUT", upload.url, data=bytes(stream))
    assert answer.status == 422
    assert await stored(upload.server) == NOTHING
    await _succeeds_now(upload)
