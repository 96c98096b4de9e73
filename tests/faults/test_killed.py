"""kill -9 at random moments of uploads: nothing acknowledged is lost, nothing half-visible, nothing left behind."""

import asyncio
import itertools
import random
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import asyncpg
import pytest

from tests.faults.conditions import blob_files, until
from tests.faults.serving import AWAY, Caller, Serve, serving
from tests.postgres.for_tests import postgres_folder
from tests.web.made_images import made

ROUNDS = 20
MIB = 1 << 20


@dataclass
class Uploader:
    """Puts one file after the other, each as often as it takes; knows what was acknowledged."""

    name: str
    content: list[bytes]
    acknowledged: dict[str, bytes] = field(default_factory=dict)
    tried: dict[str, bytes] = field(default_factory=dict)

    async def run(self, caller: Caller, http: aiohttp.ClientSession, stop: asyncio.Event) -> None:
        for number, data in zip(itertools.count(), itertools.cycle(self.content), strict=False):
            if stop.is_set():
                return
            surl = f"/put/{self.name}-{number}"
            self.tried[surl] = data
            while not stop.is_set() and surl not in self.acknowledged:
                with suppress(*AWAY):
                    await self._put(caller, http, surl, data)
                if surl not in self.acknowledged:
                    await asyncio.sleep(0.02)  # Who asks without a pause keeps the server from starting.

    async def _put(self, caller: Caller, http: aiohttp.ClientSession, surl: str, data: bytes) -> None:
        prepared = await caller.srm("prepareToPut", files=[{"surl": surl, "expectedFileSize": len(data)}])
        (line,) = prepared.get("files") or [None]
        if line is None or "transferURL" not in line:
            # Put by an earlier try whose acknowledgement was lost, or the database is just coming back.
            if line is not None and line["status"]["statusCode"] == "SRM_DUPLICATION_ERROR":
                self.acknowledged[surl] = data
            return
        async with http.put(line["transferURL"], data=_chunks(data)) as answer:
            assert answer.status in (201, 410, 503), await answer.text()
            if answer.status != 201:
                return
        done = await caller.srm("putDone", requestToken=prepared["requestToken"], surls=[surl])
        if done["returnStatus"]["statusCode"] == "SRM_SUCCESS":
            self.acknowledged[surl] = data


async def _chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 1 << 16):
        yield data[start : start + (1 << 16)]


@pytest.mark.timeout(1800)  # twenty starts, on machines that do other things too
async def test_what_was_acknowledged_is_there_and_nothing_else() -> None:
    chance = random.Random(20)
    small = [made(pixels=20_000, seed=seed) for seed in range(6)]
    uploaders = [Uploader(f"small{n}", small[n::3]) for n in range(3)]
    uploaders.append(Uploader("large", [made(pixels=6 * MIB, seed=7)]))
    settings = {
        "blobs__lease_seconds": "2",
        "blobs__inline_max": "4096",
        "blobs__reserve_free": "0",
        "delivery__identified": "clear",
        "log__level": "error",
    }
    with postgres_folder() as folder:
        async with (
            serving(folder / "mdm", **settings) as server,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http,
        ):
            caller = Caller(http, server.url, server.admin_token)
            await caller.srm("mkdir", surl="/put")
            made_token = await caller.post("/admin/v1/tokens", name="all", rights="pdrwlxgsi")
            await _killed_over_and_over(server, chance, caller, http, uploaders)

            tried = {surl: data for uploader in uploaders for surl, data in uploader.tried.items()}
            acknowledged = {surl for uploader in uploaders for surl in uploader.acknowledged}
            reader = Caller(http, server.url, made_token["token"])
            listed = await _listed(reader)
            assert acknowledged <= listed <= tried.keys()
            assert any(surl.startswith("/put/large") for surl in acknowledged)
            for surl in listed:
                assert await reader.read(surl, "identified") == tried[surl]
                assert await reader.read(surl, "basic")
            await _left_in_order(server, caller, len(listed))


async def _killed_over_and_over(
    server: Serve,
    chance: random.Random,
    caller: Caller,
    http: aiohttp.ClientSession,
    uploaders: list[Uploader],
) -> None:
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for uploader in uploaders:
            group.create_task(uploader.run(caller, http, stop))
        for turn in range(ROUNDS):
            await asyncio.sleep(chance.uniform(0.0, 0.6))  # the moment is the test
            if turn % 4 == 1:
                server.kill_postgres()
            await server.kill()
            if turn % 4 == 3:
                server.kill_postgres()
            await server.start()
        await until(lambda: any(uploader.name == "large" and uploader.acknowledged for uploader in uploaders))
        stop.set()


async def _listed(caller: Caller) -> set[str]:
    found = await caller.srm("ls", surls=["/put"], count=10_000)
    entries = found["files"][0]["subPaths"]
    assert all(entry["viewState"] == "ready" for entry in entries)
    return {entry["path"] for entry in entries}


async def _left_in_order(server: Serve, caller: Caller, files: int) -> None:
    """Once what was begun is aborted and the leases have lapsed, exactly what the files need is left."""
    requests = await caller.srm("getRequestTokens")
    for request in requests["requestTokens"]:
        await caller.srm("abortRequest", requestToken=request["requestToken"])

    async def nothing_found() -> bool:
        report = await caller.post("/admin/v1/fsck", repair=True)
        return not report["findings"]

    await until(nothing_found)
    catalog = await asyncpg.connect(server.dsn)
    try:
        assert await catalog.fetchval("select count(*) from images where doomed is null") == files
        blobs = {
            row["id"].hex: row["cipher_size"]
            for row in await catalog.fetch(
                "select b.id, p.cipher_size from blobs b join parts p on p.blob = b.id where b.state = 'stored'"
            )
        }
    finally:
        await catalog.close()
    assert {path.name: path.stat().st_size for path in blob_files(server.data)} == blobs
