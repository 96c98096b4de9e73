"""Images that are being read are held: what destroys and evicts leaves them alone."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from mdm_async.catalog.holdings import images
from mdm_async.images.transfers import watch
from mdm_async.names import ANONYMOUS
from tests.conftest import Server
from tests.faults.conditions import until
from tests.images.one_step import opened
from tests.web.made_images import made


async def held(server: Server) -> bool:
    async with server.house.database.acquire() as db:
        return bool(await db.fetchval("select in_use_until > now() + interval '30 seconds' from images"))


@pytest.fixture
async def read(own_server: Server, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[UUID]:
    """An image that is being read, on a node that holds images at each look."""
    monkeypatch.setattr(watch, "HOLD", 0.0)
    await own_server.put("/a.dcm", made())
    view = await opened(own_server, "/a.dcm")
    with own_server.house.admission.sending(ANONYMOUS.payer, view.warm.ending, lambda: None):
        yield view.file.image


async def test_an_image_is_held_while_it_is_read(own_server: Server, read: UUID) -> None:
    await until(lambda: held(own_server))


async def test_an_image_that_was_only_opened_is_not_held(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "HOLD", 0.0)
    await own_server.put("/a.dcm", made())
    await opened(own_server, "/a.dcm")
    feed = own_server.house.warm.feed
    for _ in range(3):
        looked = feed.as_of
        await until(lambda looked=looked: feed.as_of > looked)
    assert not await held(own_server)


async def test_a_held_image_is_not_destroyed_though_it_is_doomed(own_server: Server, read: UUID) -> None:
    await until(lambda: held(own_server))
    async with own_server.house.database.transaction() as db:
        await db.execute("delete from entries where image = $1", read)
        await images.doom_unreferenced(db, [read])
        assert await images.destroy_doomed(db, [read]) == []
        await db.execute("update images set in_use_until = '-infinity' where id = $1", read)
        assert len(await images.destroy_doomed(db, [read])) == 1


@pytest.mark.parametrize("released", [False, True])
async def test_a_read_that_is_over_before_anybody_looks_is_a_use_all_the_same(
    own_server: Server, monkeypatch: pytest.MonkeyPatch, released: bool
) -> None:
    await own_server.put("/a.dcm", made())
    async with own_server.house.database.acquire() as db:
        await db.execute("update images set last_used = now() - interval '2 days'")
    if released:
        prepared = await own_server.srm("prepareToGet", files=[{"surl": "/a.dcm"}])
        assert (await own_server.call("GET", prepared["files"][0]["transferURL"])).status == 200
        await own_server.srm("releaseFiles", requestToken=prepared["requestToken"])
        await until(lambda: not list(own_server.house.warm))
    else:
        await own_server.read("/a.dcm")
    monkeypatch.setattr(watch, "HOLD", 0.0)

    async def noted() -> bool:
        async with own_server.house.database.acquire() as db:
            return bool(await db.fetchval("select last_used > now() - interval '1 hour' from images"))

    await until(noted)
    assert not await held(own_server)
