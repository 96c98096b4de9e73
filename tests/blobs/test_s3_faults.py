"""A gateway that is killed, frozen or away, and answers that are lost: what was acknowledged is there, nothing half is
seen, and what was broken off is removed."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from uuid import uuid4

import aiohttp
import pytest

from mdm_async.blobs.s3.store import S3Blobs
from mdm_async.blobs.store import StoreId
from mdm_async.settings import S3Settings
from tests.blobs.buckets import Bucket, bucket_of
from tests.blobs.losing_proxy import losing_proxy
from tests.blobs.test_stores import written
from tests.ceph import Ceph
from tests.conftest import Server, running_server
from tests.faults.conditions import until
from tests.faults.serving import AWAY, Caller, serving
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

CLEAR = {"identified": "clear"}
_SEEDS = count(7400)


@asynccontextmanager
async def served(ceph: Ceph, dsn: str, data: Path, **s3: float) -> AsyncIterator[tuple[Server, Bucket]]:
    async with (
        bucket_of(ceph) as bucket,
        running_server(data, dsn, delivery=CLEAR, **bucket.sections(**s3)) as server,
    ):
        yield server, bucket


@pytest.fixture
async def dsn(postgres: PostgresForTests, migrated: str) -> str:
    return await postgres.fresh_database(migrated)


class Load:
    """Uploads and reads, small and large, of which some are in the middle when something happens."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.middle, self.go_on = asyncio.Semaphore(0), asyncio.Event()
        self.files = {f"/{seed}.dcm": made(pixels=size, seed=seed) for size, seed in self._kinds()}
        self.stored: dict[str, bytes] = {}

    @staticmethod
    def _kinds() -> list[tuple[int, int]]:
        return [(size, next(_SEEDS)) for size in (300_000, 9_000_000, 18_000_000)]

    async def store(self) -> None:
        for name, data in self.files.items():
            await self.server.put(name, data)
            self.stored[name] = data

    async def upload(self, data: bytes) -> None:
        """Stops in its middle."""
        name = f"/up{next(_SEEDS)}.dcm"
        prepared = await self.server.srm("prepareToPut", files=[{"surl": name}])

        async def body() -> AsyncIterator[bytes]:
            yield data[: len(data) * 2 // 3]
            self.middle.release()
            await self.go_on.wait()
            yield data[len(data) * 2 // 3 :]

        async with self.server.http.put(prepared["files"][0]["transferURL"], data=body()) as answer:
            assert answer.status == 201, await answer.text()
        done = await self.server.srm("putDone", requestToken=prepared["requestToken"], surls=[name])
        assert done["files"][0]["status"]["statusCode"] == "SRM_SUCCESS"
        self.stored[name] = data

    async def read(self, name: str) -> None:
        line = await self.server.prepare(f"/@identified{name}", token=self.token)
        async with self.server.http.get(line["transferURL"]) as answer:
            assert answer.status == 200, await answer.text()
            first = await answer.content.readexactly(1000)
            self.middle.release()
            await self.go_on.wait()
            assert first + await answer.content.read() == self.stored[name]

    async def run(self, happens: list[object]) -> None:
        """The load, and what happens in its middle; then all that was acknowledged is there."""
        self.token = await self.server.token("ri", views=["identified"])
        await self.store()
        before = dict(self.files)
        anew = [made(pixels=size, seed=seed) for size, seed in self._kinds()]
        async with asyncio.TaskGroup() as group:
            for data in anew:
                group.create_task(self.upload(data))
            for name in before:
                group.create_task(self.read(name))
            for _ in range(len(anew) + len(before)):
                await self.middle.acquire()
            for event in happens:
                if event is not None:
                    found = event()  # type: ignore[operator]
                    if asyncio.iscoroutine(found):
                        await found
                else:
                    self.go_on.set()
                    await asyncio.sleep(0.5)  # so that requests meet what happened
        assert len(self.stored) == 6
        for name, data in self.stored.items():
            line = await self.server.prepare(f"/@identified{name}", token=self.token)
            assert await self.server.get(line["transferURL"]) == data


async def nothing_is_astray(server: Server, bucket: Bucket) -> None:
    """What lies in the bucket is what is stored, and no more, once leases have lapsed."""

    async def is_so() -> bool:
        await server.house.sweeper.sweep()
        async with server.house.database.acquire() as db:
            known = await db.fetch("select id from blobs")
        return sorted(row["id"].hex for row in known) == await bucket.objects()

    await until(is_so)
    answer = await server.call("POST", "/admin/v1/fsck", token=server.admin_token, json={"repair": False})
    assert answer.tree["findings"] == []


async def test_uploads_and_reads_outlast_a_gateway_that_is_killed(
    ceph: Ceph, dsn: str, tmp_path: Path
) -> None:
    async with served(ceph, dsn, tmp_path / "data") as (server, bucket):
        await Load(server).run([ceph.kill_gateway, None, ceph.start_gateway])
        await nothing_is_astray(server, bucket)


async def test_uploads_and_reads_outlast_a_gateway_that_stands_still(
    ceph: Ceph, dsn: str, tmp_path: Path
) -> None:
    async with served(ceph, dsn, tmp_path / "data", request_seconds=1) as (server, bucket):
        await Load(server).run([ceph.freeze_gateway, None, None, None, ceph.thaw_gateway])
        await nothing_is_astray(server, bucket)


async def test_while_it_is_away_all_is_unavailable_and_nothing_half_stays(
    ceph: Ceph, dsn: str, tmp_path: Path
) -> None:
    async with served(ceph, dsn, tmp_path / "data", request_seconds=1, retry_seconds=0.5) as (server, bucket):
        data = made(pixels=9_000_000, seed=next(_SEEDS))
        await server.put("/a.dcm", data)
        url = (await server.prepare("/a.dcm"))["transferURL"]
        whole = await server.get(url)
        put = await server.srm("prepareToPut", files=[{"surl": "/b.dcm"}])
        half = asyncio.Event()

        async def body() -> AsyncIterator[bytes]:
            yield data[:-100_000]
            await half.wait()
            yield data[-100_000:]

        uploading = asyncio.create_task(_status(server, put["files"][0]["transferURL"], body()))
        await until(lambda: _begun(bucket))
        await ceph.kill_gateway()
        try:
            half.set()
            assert await uploading == (503, True)
            answer = await server.call("GET", url)
            assert (answer.status, "Retry-After" in answer.headers) == (503, True)
            assert answer.tree["type"] == "urn:mdm:error:unavailable"
            await server.srm("rm", surls=["/a.dcm"])
        finally:
            await ceph.start_gateway()
        await nothing_is_astray(server, bucket)
        assert await bucket.objects() == []
        assert len(whole) > 9_000_000


async def _begun(bucket: Bucket) -> bool:
    return b"<UploadId>" in await bucket.do("GET", "", {"uploads": "", "prefix": "blobs/"})


async def _status(server: Server, url: str, body: AsyncIterator[bytes]) -> tuple[int, bool]:
    try:
        async with server.http.put(url, data=body) as answer:
            return answer.status, "Retry-After" in answer.headers
    except aiohttp.ClientError:
        return 0, False


async def test_what_a_killed_server_has_left_in_parts_is_removed(
    ceph: Ceph, dsn: str, tmp_path: Path
) -> None:
    own = {"blobs__lease_seconds": "2", "log__level": "error", "database__dsn": dsn}
    own |= {f"s3__{name}": value for name, value in ceph.settings.items()}
    stored, broken = (made(pixels=size, seed=next(_SEEDS)) for size in (300_000, 18_000_000))
    async with (
        bucket_of(ceph) as bucket,
        aiohttp.ClientSession() as http,
        serving(tmp_path / "data", blobs__url=bucket.url, **own) as server,
    ):
        caller = Caller(http, server.url, server.admin_token)
        await _put(caller, http, "/a.dcm", stored)
        kept = await bucket.objects()
        uploading = asyncio.create_task(_put(caller, http, "/b.dcm", broken, stops=True))
        await until(lambda: _begun(bucket))
        await server.kill()
        with pytest.raises(AWAY):
            await uploading
        await server.start()
        assert len(await caller.read("/a.dcm", "basic")) > 300_000

        async def is_swept() -> bool:
            await caller.post("/admin/v1/fsck", repair=True)
            return await bucket.objects() == kept

        await until(is_swept)


async def _put(
    caller: Caller, http: aiohttp.ClientSession, name: str, data: bytes, *, stops: bool = False
) -> None:
    """`stops`: in its middle, for ever."""
    prepared = await caller.srm("prepareToPut", files=[{"surl": name}])

    async def body() -> AsyncIterator[bytes]:
        yield data[: len(data) * 2 // 3]
        if stops:
            await asyncio.Event().wait()
        yield data[len(data) * 2 // 3 :]

    async with http.put(prepared["files"][0]["transferURL"], data=body()) as answer:
        assert answer.status == 201, await answer.text()
    await caller.srm("putDone", requestToken=prepared["requestToken"], surls=[name])


async def test_requests_whose_answers_are_lost_have_been_done(ceph: Ceph) -> None:
    """The second of two finds what the first has done; and what came in half is asked for again."""
    async with bucket_of(ceph) as bucket, losing_proxy(ceph.port) as proxy:
        settings = S3Settings(**ceph.settings | {"endpoint": proxy.url})
        with ThreadPoolExecutor(2) as pool:
            async with S3Blobs.connect(bucket.url, settings, pool) as store:
                proxy.loses = lambda asked: asked.startswith(b"PUT") and b"store.id" in asked
                mine = StoreId(uuid4(), uuid4())
                await store.mark(mine)
                assert (proxy.lost, await store.identity()) == (1, mine)
                data = made(pixels=9_000_000, seed=next(_SEEDS))
                blobs = []
                for lost, (method, part, size) in enumerate(
                    (
                        ("PUT", "/blobs/", 1000),  # all of it
                        ("POST", "uploads", len(data)),  # an upload in parts is begun twice
                        ("PUT", "partNumber=1", len(data)),
                        ("POST", "uploadId=", len(data)),  # it is ended twice
                    )
                ):
                    begins, holds = method.encode(), part.encode()
                    proxy.loses = lambda asked, begins=begins, holds=holds: (
                        asked.startswith(begins) and holds in asked
                    )
                    blobs.append(blob := await written(store, data[:size]))
                    assert proxy.lost == 2 * lost + 2
                    assert await bucket.objects() == sorted(blob.hex for blob in blobs)
                    name = blob.hex.encode()
                    proxy.loses = lambda asked, name=name: asked.startswith(b"GET") and name in asked
                    reader = await store.open(blob, size)
                    assert await reader.apply(0, size, bytes) == data[:size]
                    reader.close()
                assert proxy.lost == 9
                proxy.loses = lambda asked: asked.startswith(b"DELETE")
                for blob in blobs:
                    await store.delete(blob)
                assert await bucket.objects() == []
