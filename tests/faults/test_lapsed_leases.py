"""Writers that give no sign of life: their blobs are taken from them, and nothing of theirs counts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

import pytest

from tests.conftest import Server, running_server
from tests.faults.conditions import NOTHING, blob_files, open_blobs, stored, until
from tests.faults.transfers import uploads
from tests.faults.wire import Client, begun
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made

MIB = 1 << 20
DATA = made(pixels=5 * MIB, seed=5)


@asynccontextmanager
async def half_sent(server: Server) -> AsyncIterator[tuple[Client, str]]:
    """An upload with some of its blobs on disk."""
    tree = await server.srm("prepareToPut", files=[{"surl": f"{await server.directory()}/a.dcm"}])
    url = tree["files"][0]["transferURL"]
    async with begun("PUT", url, Content_Length=str(len(DATA))) as client:
        await client.send(DATA[: 3 * MIB])
        await until(lambda: blob_files(server.data))
        yield client, url


async def lapse(server: Server) -> None:
    """As if no writer had been heard of for long."""
    async with server.house.database.acquire() as db:
        await db.execute("update blobs set lease = now() - interval '1 second' where state = 'writing'")


async def test_a_late_commit_is_gone_and_stores_nothing(own_server: Server) -> None:
    async with half_sent(own_server) as (client, url):
        await lapse(own_server)
        await own_server.house.sweeper.sweep()
        assert await stored(own_server) == NOTHING
        await client.send(DATA[3 * MIB :])
        assert (await client.head())[0] == 410
    await until(lambda: not open_blobs(own_server.data))
    assert await stored(own_server) == NOTHING
    assert (await own_server.call("PUT", url, data=DATA)).status == 201


async def test_a_commit_after_its_blobs_were_doomed_is_gone(own_server: Server) -> None:
    """The sweeper, of this node or another, is between marking and deleting."""
    async with half_sent(own_server) as (client, _):
        async with own_server.house.database.acquire() as db:
            await db.execute("update blobs set state = 'doomed', lease = null")
        await client.send(DATA[3 * MIB :])
        assert (await client.head())[0] == 410
    await own_server.house.sweeper.sweep()
    assert await stored(own_server) == NOTHING


async def test_a_writer_that_vanished_with_its_node_is_swept(own_server: Server) -> None:
    async with half_sent(own_server) as (client, _):
        async with own_server.house.database.acquire() as db:
            await db.execute("update blobs set state = 'writing', lease = now() - interval '1 second'")
        client.vanish()
        await until(lambda: uploads() == 0)
    await own_server.house.sweeper.sweep()
    assert await stored(own_server) == NOTHING


async def test_a_slow_writer_keeps_its_lease(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    async with (
        running_server(tmp_path / "data", dsn, blobs={"lease_seconds": 15}) as server,
        half_sent(server) as (client, _),
    ):
        first = await leased_until(server)

        async def is_extended() -> bool:
            return await leased_until(server) > first

        await until(is_extended)
        await server.house.sweeper.sweep()
        await client.send(DATA[3 * MIB :])
        assert (await client.head())[0] == 201


async def leased_until(server: Server) -> datetime:
    async with server.house.database.acquire() as db:
        found: datetime = await db.fetchval("select min(lease) from blobs where state = 'writing'")
    return found


async def test_a_file_that_cannot_be_deleted_does_not_keep_others(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = await own_server.directory()
    for number in range(4):
        await own_server.put(f"{directory}/{number}", made(pixels=300_000, seed=number))
    stuck = sorted(blob_files(own_server.data))[1]
    working = Path.unlink

    def failing(path: Path, missing_ok: bool = False) -> None:
        if path == stuck:
            raise PermissionError(13, "Permission denied")
        working(path, missing_ok)

    await own_server.srm("rmdir", surl=directory, recursive=True)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", failing)
        await own_server.house.sweeper.sweep()
    assert blob_files(own_server.data) == [stuck]
    assert (await stored(own_server))["blobs"] == 1
    await own_server.house.sweeper.sweep()
    assert await stored(own_server) == NOTHING
