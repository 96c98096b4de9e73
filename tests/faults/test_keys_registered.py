"""Secrets lie in one place, what names them in another: whatever fails in between, no key is lost, and none is left."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from mdm_async import opening_keys
from mdm_async.errors import Unavailable
from mdm_async.images.parts import fresh_secrets
from mdm_async.images.upkeep.keys import settle_lapsed
from mdm_async.keys.store import LAPSE
from tests.conftest import Server, running_server
from tests.faults.conditions import NOTHING, blob_files, nothing_is_stored, stored, until
from tests.faults.keys_that_fail import KeysThatFail
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made


@pytest.fixture
async def failing(
    postgres: PostgresForTests, migrated: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Server, KeysThatFail]]:
    """A server whose key store fails when it is told to; and that store."""
    monkeypatch.setattr(opening_keys, "WrappedKeys", KeysThatFail)
    dsn = await postgres.fresh_database(migrated)
    async with running_server(tmp_path / "data", dsn, delivery={"identified": "clear"}) as server:
        yield server, server.house.keys


async def upload(server: Server, data: bytes) -> int:
    """The status of the PUT."""
    return await _put(server, await server.srm("prepareToPut", files=[{"surl": "/a.dcm"}]), data)


async def _put(server: Server, prepared: dict[str, Any], data: bytes) -> int:
    async with server.http.put(prepared["files"][0]["transferURL"], data=io.BytesIO(data)) as answer:
        return answer.status


async def execute(server: Server, statement: str) -> Any:
    async with server.house.database.acquire() as db:
        return await db.fetchval(statement)


async def intents(server: Server) -> int:
    count: int = await execute(server, "select count(*) from mdm_keys.intents")
    return count


async def settled_later(server: Server) -> None:
    """The sweeper comes when the intents have become old."""
    await execute(server, "update mdm_keys.intents set at = at - interval '1 day'")
    assert not await settle_lapsed(server.house.database, server.house.keys)
    assert await intents(server) == 0


async def original(server: Server) -> bytes:
    server.cool()
    identity = await server.token("ri", views=["*", "identified"])
    return await server.read("/a.dcm", view="identified", token=identity)


async def test_an_upload_leaves_no_intent_behind(failing: tuple[Server, KeysThatFail], ct: bytes) -> None:
    server, _ = failing
    await server.put("/a.dcm", ct)
    assert await intents(server) == 0


@pytest.mark.parametrize("when", ["before", "after"])
async def test_secrets_that_could_not_be_registered_are_no_upload(
    failing: tuple[Server, KeysThatFail], ct: bytes, when: str
) -> None:
    server, keys = failing
    keys.fail(**{when: ["register"]})
    assert await upload(server, ct) == 503
    await until(lambda: nothing_is_stored(server))
    assert await intents(server) == 0


async def test_an_image_that_the_catalog_does_not_take_leaves_no_secrets(
    failing: tuple[Server, KeysThatFail], ct: bytes
) -> None:
    server, _ = failing
    await execute(server, "alter table images add constraint none check (false) not valid")
    assert await upload(server, ct) == 500
    await until(lambda: nothing_is_stored(server))
    assert await intents(server) == 0


async def test_secrets_that_could_not_be_withdrawn_are_swept(
    failing: tuple[Server, KeysThatFail], ct: bytes
) -> None:
    server, keys = failing
    keys.fail(before=["forget"])
    await execute(server, "alter table images add constraint none check (false) not valid")
    assert await upload(server, ct) == 500
    assert await intents(server) == 1
    keys.fail()
    await settled_later(server)
    assert await stored(server) == NOTHING


async def test_an_acknowledged_image_whose_secrets_were_not_confirmed_keeps_them(
    failing: tuple[Server, KeysThatFail], ct: bytes
) -> None:
    server, keys = failing
    keys.fail(before=["confirm"])
    await server.put("/a.dcm", ct)
    assert await intents(server) == 1
    assert await original(server) == ct
    keys.fail()
    await settled_later(server)
    assert await original(server) == ct


async def test_a_key_store_that_is_away_keeps_no_blob_from_being_deleted(
    failing: tuple[Server, KeysThatFail],
) -> None:
    server, keys = failing
    await server.put("/a.dcm", made(pixels=3_000_000))
    keys.fail(before=["unconfirmed", "forget"])
    await server.srm("rm", surls=["/a.dcm"])
    with pytest.raises(Unavailable):
        await server.house.sweeper.sweep()
    assert blob_files(server.data) == []
    keys.fail()
    await server.house.sweeper.sweep()
    assert await stored(server) == NOTHING


async def test_nobody_sweeps_what_a_running_transaction_is_naming(
    failing: tuple[Server, KeysThatFail], ct: bytes
) -> None:
    """However old the intent looks: the sweeper waits for the commit, and then sees it."""
    server, _ = failing
    prepared = await server.srm("prepareToPut", files=[{"surl": "/a.dcm"}])
    async with server.house.database.transaction() as db:
        await db.execute("lock table audit in share mode")  # the last that the upload writes
        uploading = asyncio.create_task(_put(server, prepared, ct))
        await until(lambda: naming(server))
        await execute(server, "update mdm_keys.intents set at = at - interval '1 day'")
        await settle_lapsed(server.house.database, server.house.keys)
        assert await intents(server) == 1
    assert await uploading == 201
    await server.srm("putDone", requestToken=prepared["requestToken"], surls=["/a.dcm"])
    assert await original(server) == ct
    assert await intents(server) == 0


async def naming(server: Server) -> bool:
    """Whether some transaction keeps judges of its registrations away."""
    return bool(
        await execute(
            server,
            "select count(*) from pg_locks where locktype = 'advisory' and mode = 'ShareLock' and granted"
            " and database = (select oid from pg_database where datname = current_database())",
        )
    )


async def test_whoever_comes_after_the_sweeper_names_nothing(
    failing: tuple[Server, KeysThatFail], ct: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, _ = failing
    clock = iter([0.0, LAPSE])
    monkeypatch.setattr(fresh_secrets, "_now", lambda: next(clock))
    assert await upload(server, ct) == 503
    await until(lambda: nothing_is_stored(server))
    assert await intents(server) == 0


@pytest.mark.parametrize("when", ["before", "after"])
async def test_keys_to_forget_are_forgotten_once_the_key_store_is_back(
    failing: tuple[Server, KeysThatFail], ct: bytes, when: str
) -> None:
    server, keys = failing
    await server.put("/a.dcm", ct)
    keys.fail(**{when: ["forget"]})
    await server.srm("rm", surls=["/a.dcm"])
    await until(lambda: execute(server, "select count(*) from keys_to_forget where failure is not null"))
    assert not await execute(server, "select count(*) from images")
    keys.fail()
    reply = await server.call("POST", "/admin/v1/fsck", token=server.admin_token, json={"repair": True})
    assert reply.status == 200

    async def forgotten() -> bool:
        return not await execute(server, "select count(*) from keys_to_forget")

    await until(forgotten)
    await until(lambda: nothing_is_stored(server))
