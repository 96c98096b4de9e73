"""SIGTERM: what runs is finished, nothing new begins. And one server a directory."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from io import BytesIO

import aiohttp
import pytest

from tests.faults.conditions import until
from tests.faults.serving import AWAY, Caller, Serve, serving
from tests.faults.transfers import large
from tests.faults.wire import begun
from tests.patience import PATIENCE
from tests.postgres.for_tests import postgres_folder

SETTINGS = {"blobs__reserve_free": "0", "delivery__identified": "clear", "log__level": "error"}


@pytest.fixture
async def server() -> AsyncIterator[Serve]:
    with postgres_folder() as folder:
        async with serving(folder / "mdm", **SETTINGS, server__drain_seconds="300") as running:
            yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def _put_begun(caller: Caller, surl: str) -> tuple[str, str]:
    prepared = await caller.srm("prepareToPut", files=[{"surl": surl}])
    return prepared["files"][0]["transferURL"], prepared["requestToken"]


async def test_what_runs_is_finished_and_nothing_new_begins(
    server: Serve, http: aiohttp.ClientSession
) -> None:
    caller = Caller(http, server.url, server.admin_token)
    url, request = await _put_begun(caller, "/a.dcm")
    async with http.put(url, data=BytesIO(large())) as answer:
        assert answer.status == 201
    await caller.srm("putDone", requestToken=request, surls=["/a.dcm"])
    line = (await caller.srm("prepareToGet", files=[{"surl": "/a.dcm"}]))["files"][0]
    upload_url, _ = await _put_begun(caller, "/b.dcm")

    async def refuses() -> bool:
        try:
            async with http.get(f"{server.url}/health/ready") as ready:
                return ready.status == 503
        except AWAY:
            return True

    async with (
        begun("GET", line["transferURL"], buffer=8192) as reader,
        begun("PUT", upload_url, Content_Length=str(len(large()))) as writer,
    ):
        await reader.head()
        await writer.send(large()[: 4 << 20])
        server.process.terminate()
        await until(refuses)
        # The ports end one after the other, this one last; both transfers still wait for us.
        await until(lambda: not (server.data / "admin.sock").exists())
        assert server.process.returncode is None
        await writer.send(large()[4 << 20 :])
        assert (await writer.head())[0] == 201
        await reader.reader.readexactly(line["fileSize"])
    async with asyncio.timeout(PATIENCE):
        assert await server.process.wait() == 0


async def test_a_stalled_reader_does_not_keep_it_for_ever(http: aiohttp.ClientSession) -> None:
    with postgres_folder() as folder:
        async with serving(folder / "mdm", **SETTINGS, server__drain_seconds="1") as server:
            caller = Caller(http, server.url, server.admin_token)
            url, request = await _put_begun(caller, "/a.dcm")
            async with http.put(url, data=BytesIO(large())) as answer:
                assert answer.status == 201
            await caller.srm("putDone", requestToken=request, surls=["/a.dcm"])
            line = (await caller.srm("prepareToGet", files=[{"surl": "/a.dcm"}]))["files"][0]
            async with begun("GET", line["transferURL"], buffer=8192) as reader:
                await reader.head()
                async with asyncio.timeout(PATIENCE):
                    assert await server.stop() == 0


async def test_a_second_server_on_the_same_directory_is_refused(
    server: Serve, http: aiohttp.ClientSession
) -> None:
    second = await server.spawn(stderr=subprocess.PIPE)
    out, err = await second.communicate()
    assert second.returncode == 11
    assert out == b""
    (line,) = err.decode().splitlines()
    assert f"is in use by another mdm server, process {server.process.pid}" in line
    async with http.get(f"{server.url}/health/ready") as ready:
        assert ready.status == 200
