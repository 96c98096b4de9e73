"""The database goes away and comes back: requests are told to retry, transfers go on for a while."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from mdm_async.images.transfers import watch
from mdm_async.images.upkeep import sweep
from tests.faults.conditions import NOTHING, blob_files, nothing_is_stored, open_blobs, stored, until
from tests.faults.graced import Behind, behind_a_proxy
from tests.faults.serving import AWAY, Caller, serving
from tests.faults.transfers import LARGE, downloads, stored_file, uploads
from tests.faults.wire import begun
from tests.postgres.for_tests import PostgresForTests, postgres_folder
from tests.web.made_images import made

MIB = 1 << 20


@pytest.fixture
async def behind(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Behind]:
    """Nobody sweeps but the tests."""
    monkeypatch.setattr(sweep, "INTERVAL", 3600.0)
    sections: dict[str, dict[str, Any]] = {
        "blobs": {"inline_max": 2048, "lease_seconds": 1.5},
        "delivery": {"identified": "clear"},
    }
    dsn = await postgres.fresh_database(migrated)
    async with behind_a_proxy(tmp_path / "data", dsn, **sections) as found:
        yield found


async def test_new_requests_are_told_to_come_back(behind: Behind) -> None:
    server = behind.server
    surl = f"{await server.directory()}/a.dcm"
    await server.put(surl, made())
    url = (await server.prepare(surl))["transferURL"]
    prepared = await server.srm("prepareToPut", files=[{"surl": f"{surl}2"}])
    behind.proxy.cut()
    asked = [
        ("GET", "/health/ready", {}),
        ("POST", "/srm/v2/prepareToGet", {"json": {"files": [{"surl": surl}]}}),
        ("POST", "/srm/v2/ls", {"json": {"surls": ["/"]}}),
        ("POST", "/admin/v1/tokens", {"json": {"name": "n", "rights": "r"}}),
        ("PUT", prepared["files"][0]["transferURL"], {"data": made()}),
        ("GET", f"{server.url}/t/unknown/a.dcm", {}),
    ]
    for method, target, options in asked:
        answer = await server.call(method, target, token=server.admin_token, **options)
        assert (answer.status, "Retry-After" in answer.headers) == (503, True), (target, answer.body)
    assert (await server.call("GET", "/health/live")).status == 200

    async def refused() -> bool:
        """A warm transfer URL is trusted for half a second."""
        return (await server.call("GET", url)).status == 503

    await until(refused)
    behind.restore()
    assert (await server.call("GET", "/health/ready")).status == 200
    assert await server.get(url)
    await server.put(f"{surl}3", made(seed=1))


async def test_a_transfer_outlives_a_short_absence(behind: Behind) -> None:
    line = await (await stored_file(behind.server)).prepare(sealed=False)
    async with begun("GET", line["transferURL"], buffer=8192) as client:
        await client.head()
        behind.proxy.cut()
        await asyncio.sleep(2 * watch.LOOK)  # the absence
        behind.restore()
        await client.reader.readexactly(line["fileSize"])


@pytest.mark.parametrize("hanging", [False, True], ids=["cut", "hanging"])
async def test_a_transfer_is_stopped_when_the_absence_lasts(behind: Behind, hanging: bool) -> None:
    server = behind.server
    line = await (await stored_file(server)).prepare(sealed=hanging)
    async with begun("GET", line["transferURL"], buffer=8192) as client:
        await client.head()
        if hanging:
            behind.proxy.hang()
        else:
            behind.proxy.cut()
        await client.reader.readexactly(2 * MIB)
        assert downloads() == 1
        behind.end_grace()
        await until(lambda: downloads() == 0)
        assert len(await client.rest()) < LARGE - 2 * MIB
    behind.restore()

    async def back() -> bool:
        try:
            return (await server.call("GET", line["transferURL"])).status == 200
        except aiohttp.ClientPayloadError:  # begun before those who watch over it heard of the database again
            return False

    await until(back)


async def test_an_upload_during_an_absence_leaves_nothing(behind: Behind) -> None:
    """What it had begun to write is found by the sweeper once the lease has lapsed."""
    server, data = behind.server, made(pixels=3 * MIB)
    prepared = await server.srm("prepareToPut", files=[{"surl": f"{await server.directory()}/a.dcm"}])
    url = prepared["files"][0]["transferURL"]
    async with begun("PUT", url, Content_Length=str(len(data))) as client:
        await client.send(data[: 2 * MIB])
        await until(lambda: blob_files(server.data))
        behind.proxy.cut()
        await client.send(data[2 * MIB :])
        status, headers = await client.head()
        assert (status, "retry-after" in headers) == (503, True)
    await until(lambda: uploads() == 0)
    await until(lambda: not open_blobs(server.data))
    assert blob_files(server.data)
    behind.restore()

    async def swept() -> bool:
        await server.house.sweeper.sweep()
        return await nothing_is_stored(server)

    await until(swept)
    assert (await server.call("PUT", url, data=data)).status == 201


async def test_an_upload_outlives_a_short_absence(behind: Behind) -> None:
    server, data = behind.server, made(pixels=3 * MIB)
    prepared = await server.srm("prepareToPut", files=[{"surl": f"{await server.directory()}/a.dcm"}])
    async with begun("PUT", prepared["files"][0]["transferURL"], Content_Length=str(len(data))) as client:
        await client.send(data[: 2 * MIB])
        await until(lambda: blob_files(server.data))
        behind.proxy.cut()
        await asyncio.sleep(0.7)  # the absence: longer than a lease goes without renewal
        behind.restore()
        await client.send(data[2 * MIB :])
        assert (await client.head())[0] == 201


async def test_a_commit_whose_answer_is_lost_keeps_its_files(behind: Behind) -> None:
    server, data = behind.server, made(pixels=3 * MIB)
    surl = f"{await server.directory()}/a.dcm"
    prepared = await server.srm("prepareToPut", files=[{"surl": surl}])
    url = prepared["files"][0]["transferURL"]
    behind.proxy.lose_commit_after(b"insert into images")
    answer = await server.call("PUT", url, data=data)
    assert (answer.status, behind.proxy.lost.is_set()) == (503, True), answer.body
    held = await stored(server)
    assert held["images"] == 1
    assert held["files"] == held["blobs"] > 1
    await server.house.sweeper.sweep()
    assert await stored(server) == held
    # The client knows no better than to send it again.
    assert (await server.call("PUT", url, data=data)).status == 201
    await server.srm("putDone", requestToken=prepared["requestToken"], surls=[surl])
    assert await stored(server) == held != NOTHING
    token = await server.token("pdrwlxgsi")
    assert await server.read(surl, view="identified", token=token) == data
    report = await server.call("POST", "/admin/v1/fsck", token=server.admin_token, json={"repair": True})
    assert report.tree["findings"] == []


async def test_a_put_done_whose_answer_is_lost_can_be_repeated(behind: Behind) -> None:
    server = behind.server
    surl = f"{await server.directory()}/a.dcm"
    prepared = await server.srm("prepareToPut", files=[{"surl": surl}])
    assert (await server.call("PUT", prepared["files"][0]["transferURL"], data=made())).status == 201
    behind.proxy.lose_commit_after(b"select guid, image from entries")
    again = {"requestToken": prepared["requestToken"], "surls": [surl]}
    lost = await server.srm("putDone", expect=503, **again)
    assert behind.proxy.lost.is_set()
    assert lost["files"][0]["status"]["statusCode"] == "SRM_INTERNAL_ERROR"
    await server.srm("putDone", **again)
    assert await server.read(surl)


async def test_a_killed_embedded_postgres_comes_back_by_itself() -> None:
    with postgres_folder() as folder:
        async with serving(folder / "mdm", log__level="error") as server, aiohttp.ClientSession() as http:
            caller = Caller(http, server.url, server.admin_token)
            await caller.srm("mkdir", surl="/kept")
            killed = server.postmaster
            server.kill_postgres()

            async def back() -> bool:
                try:
                    return "guid" in await caller.srm("mkdir", surl="/new")
                except AWAY:
                    return False

            await until(back)
            assert server.postmaster != killed
            listed = await caller.srm("ls", surls=["/"])
            assert [entry["path"] for entry in listed["files"][0]["subPaths"]] == ["/kept", "/new"]
            assert await server.stop() == 0
