"""Shredding while a key store is away: all else goes, it is told what waits, and finished when the store is back."""

from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson

from mdm_async.errors import Unavailable
from mdm_async.images.shredding import destroying
from mdm_async.keys.store import Forgotten
from tests.conftest import Server, running_server
from tests.postgres.for_tests import PostgresForTests
from tests.web.made_images import made
from tests.web.shredding.conftest import Shred, rows


async def test_with_all_stores_away_names_and_bytes_go_and_keys_follow(
    own_server: Server, monkeypatch: Any
) -> None:
    server = own_server
    await server.put("/a", made(seed=551))
    keys, away = server.house.keys, True
    forget = keys.forget

    async def forget_when_there(registrations: Collection[UUID]) -> Forgotten:
        if away:
            raise Unavailable("the key store is away")
        return await forget(registrations)

    monkeypatch.setattr(keys, "forget", forget_when_there)
    done = await Shred(server).do("/a", asAdministrator=True)
    assert done["state"] == "begun"
    waiting = orjson.loads(done["receipt"])["waiting"]
    assert any("is to destroy its keys" in one for one in waiting)
    assert await rows(server, "images") == await rows(server, "blobs") == 0
    assert await rows(server, "mdm_keys.image_secrets") == 2
    await server.srm("ls", surls=["/a"], expect=404)
    away = False
    await server.house.shredder.destroyer.destroy(UUID(done["id"]))
    assert await rows(server, "mdm_keys.image_secrets") == 0
    path = f"/admin/v1/shreds/{done['id']}"
    later = (await server.call("GET", path, token=server.admin_token)).tree
    assert later["state"] == "destroyed"
    assert [one["store"] for one in orjson.loads(later["receipt"])["stores"]]


async def test_one_store_of_several_that_is_away_is_named_until_it_is_back(
    own_server: Server, monkeypatch: Any
) -> None:
    server = own_server
    await server.put("/a", made(seed=552))
    keys, away = server.house.keys, True
    forget = keys.forget

    async def forget_but_one(registrations: Collection[UUID]) -> Forgotten:
        done = (await forget(registrations)).done
        return Forgotten((), done) if away else Forgotten(done, ())

    monkeypatch.setattr(keys, "forget", forget_but_one)
    done = await Shred(server).do("/a", asAdministrator=True)
    assert done["state"] == "begun"
    assert orjson.loads(done["receipt"])["stores"] == []
    assert await rows(server, "keys_to_forget") == 1
    away = False
    # The node's own turn comes by itself.
    await server.house.shredder.destroyer.destroy(UUID(done["id"]))
    assert await rows(server, "shreds where destroyed is not null") == 1


async def test_a_store_that_comes_back_in_the_middle_has_not_destroyed_what_came_before(
    own_server: Server, monkeypatch: Any
) -> None:
    server = own_server
    surls = ["/a", "/b"]
    for number, surl in enumerate(surls):
        await server.put(surl, made(seed=554 + number))
    monkeypatch.setattr(destroying, "_PAGE", 1)
    forget, first = server.house.keys.forget, set[UUID]()

    async def forget_from_the_second_on(registrations: Collection[UUID]) -> Forgotten:
        """However often somebody tries: what was the first is not destroyed, whoever comes after it is."""
        first.update(registrations if not first else ())
        return Forgotten((), ("catalog",)) if first & {*registrations} else await forget(registrations)

    monkeypatch.setattr(server.house.keys, "forget", forget_from_the_second_on)
    done = await Shred(server).do(*surls, asAdministrator=True)
    assert done["state"] == "begun"
    assert orjson.loads(done["receipt"])["stores"] == []


async def test_the_server_goes_on_by_itself(own_server: Server, monkeypatch: Any) -> None:
    server = own_server
    await server.put("/a", made(seed=553))
    keys = server.house.keys
    forget, failures = keys.forget, 2

    async def forget_at_last(registrations: Collection[UUID]) -> Forgotten:
        nonlocal failures
        if failures:
            failures -= 1
            raise Unavailable("the key store is away")
        return await forget(registrations)

    monkeypatch.setattr(keys, "forget", forget_at_last)
    done = await Shred(server).do("/a", asAdministrator=True)
    assert done["state"] == "begun"
    destroyer = server.house.shredder.destroyer
    async with server.house.database.acquire() as db:
        await db.execute("update shreds set due = now()")
    await destroyer.finish()
    async with server.house.database.acquire() as db:
        await db.execute("update shreds set due = now()")
    await destroyer.finish()
    assert await rows(server, "shreds where destroyed is not null and taken_by is null") == 1


async def test_a_store_that_comes_after_a_shred_keeps_it_from_being_final_only_until_it_was_told(
    postgres: PostgresForTests, migrated: str, tmp_path: Path
) -> None:
    dsn = await postgres.fresh_database(migrated)
    stores = [{"name": name, "dsn": await postgres.fresh_database()} for name in "abc"]

    def serving(count: int) -> AbstractAsyncContextManager[Server]:
        return running_server(tmp_path / "data", dsn, keys={"stores": stores[:count], "threshold": 2})

    async with serving(2) as server:
        await server.put("/a", made(seed=573))
        done = await Shred(server).do("/a", asAdministrator=True)
        assert done["state"] == "destroyed"
    async with serving(3) as server:
        finality = await server.house.shredder.destroyer.destroy(UUID(done["id"]))
        assert not [why for why in finality.waiting if "is to destroy its keys" in why]
        assert await rows(server, "shred_stores") == 3
