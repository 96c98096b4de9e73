"""An image is given other keys while it is read, digested, or something is made of it: nobody notices, and nothing is
sealed under keys that it has no more."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from uuid import UUID

import aiohttp
import pytest

from mdm_async.catalog.holdings import generations, stored_views
from mdm_async.errors import Busy
from mdm_async.images.changed import ChangedHere
from mdm_async.images.metadata import indexing
from mdm_async.images.metadata.identified import identified_values
from mdm_async.images.parts.fresh_secrets import FreshSecrets
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.rekeying import rekeying
from mdm_async.images.rekeying.rekeying import Rekeyed, Rekeying
from mdm_async.images.transfers.holding import hold
from mdm_async.images.views import remaking
from mdm_async.images.views.remaking import make_view
from mdm_async.names import View
from tests.conftest import Server
from tests.faults.conditions import until
from tests.images.one_step import caller, opened, read
from tests.web.made_images import BLOB, made
from tests.web.sealed_lines import PRIVATE, RECIPIENT, unsealed
from tests.web.test_rekeyed import count, image_of, nobody_reads_any_more, rekeyed, stored

LARGE = 32 << 20


def elsewhere(server: Server) -> Rekeying:
    """As another node, which tells this one nothing but by the database."""
    return replace(server.house.rekeying, changed=ChangedHere())


async def rekeyed_elsewhere(server: Server, surl: str) -> None:
    ((_, done),) = await elsewhere(server).rekey(await caller(server), [surl])
    assert isinstance(done, Rekeyed), done
    assert done.changed


async def looked(server: Server) -> None:
    """The next look at the change feed is over."""
    await server.house.warm.feed.catch_up(time.monotonic())


@asynccontextmanager
async def reading(server: Server, url: str) -> AsyncIterator[Callable[[], Awaitable[bytes]]]:
    """A reader who has begun; what gives him all of it."""
    async with server.http.get(url) as answer:
        first = await answer.content.readexactly(1 << 16)

        async def rest() -> bytes:
            return first + await answer.content.read()

        yield rest


@pytest.mark.parametrize("sealed", [False, True], ids=["clear", "sealed"])
async def test_who_reads_when_keys_change_reads_all_of_it(own_server: Server, sealed: bool) -> None:
    server = own_server
    await server.put("/a.dcm", made(pixels=LARGE))
    image = await image_of(server, "/a.dcm")
    before, _ = await stored(server, image)
    plain = await server.read("/a.dcm")
    how = {"recipient": RECIPIENT} if sealed else {}
    url = (await server.prepare("/a.dcm", **how))["transferURL"]
    async with reading(server, url) as rest:
        await rekeyed_elsewhere(server, "/a.dcm")
        await looked(server)
        # What is asked for next is opened by the keys of today, while that reader goes on.
        answer = await server.call("GET", url)
        if sealed:
            assert answer.status == 410
            assert "other keys" in answer.tree["detail"]
        else:
            assert answer.body == plain
        # He holds what he reads, for longer than it would be kept without him.
        database = server.house.database
        async with database.acquire() as db:
            await db.execute("update superseded_keys set due = now() + interval '10 seconds'")
        await hold(database, server.house.warm)
        assert await count(database, "superseded_keys where due > now() + interval '30 seconds'") == 1
        await server.house.sweeper.sweep()
        blobs = generations.blobs_of(before.parts)
        assert None not in [await server.house.blobs.size(blob) for blob in blobs]
        whole = await rest()
        assert (unsealed(whole, PRIVATE) if sealed else whole) == plain
    await until(lambda: not any(warm.superseded() for warm in server.house.warm))
    await nobody_reads_any_more(server)
    assert [await server.house.blobs.size(blob) for blob in blobs] == [None] * len(blobs)
    again = await server.call("GET", url)
    assert again.status == (410 if sealed else 200)
    if sealed:
        anew = await server.prepare("/a.dcm", recipient=RECIPIENT)
        assert unsealed(await server.get(anew["transferURL"]), PRIVATE) == plain


async def test_who_reads_by_keys_from_before_still_ends_with_his_url(own_server: Server) -> None:
    server = own_server
    await server.put("/a.dcm", made(pixels=LARGE))
    line = await server.prepare("/a.dcm")
    async with reading(server, line["transferURL"]) as rest:
        await rekeyed_elsewhere(server, "/a.dcm")
        await looked(server)
        assert len(await server.get(line["transferURL"], Range="bytes=0-9")) == 10
        await server.srm("releaseFiles", requestToken=line["requestToken"])
        await looked(server)
        with pytest.raises(aiohttp.ClientError):
            await rest()


async def test_what_was_opened_lately_is_opened_anew_on_every_node(own_server: Server) -> None:
    server = own_server
    await server.put("/a.dcm", made(pixels=BLOB))
    await looked(server)
    before = await opened(server, "/a.dcm")
    assert (await opened(server, "/a.dcm")).warm is before.warm
    plain = await read(server, "/a.dcm")
    await rekeyed_elsewhere(server, "/a.dcm")
    await looked(server)
    after = await opened(server, "/a.dcm")
    assert after.warm is not before.warm
    assert after.plain.registration != before.plain.registration
    assert after.plain.etag == before.plain.etag
    await nobody_reads_any_more(server)
    assert await read(server, "/a.dcm") == plain


async def test_a_range_goes_on_where_it_was_cut_off_before_keys_changed(own_server: Server) -> None:
    server = own_server
    await server.put("/a.dcm", made(pixels=BLOB))
    url = (await server.prepare("/a.dcm"))["transferURL"]
    whole = await server.call("GET", url)
    await rekeyed(server, "/a.dcm")
    await nobody_reads_any_more(server)
    rest = await server.call("GET", url, headers={"Range": "bytes=1000-", "If-Range": whole.headers["ETag"]})
    assert (rest.status, rest.body) == (206, whole.body[1000:])


async def test_a_view_that_is_made_meanwhile_has_the_new_keys_too(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_server
    await server.put("/a.dcm", made(pixels=BLOB))
    image, house = await image_of(server, "/a.dcm"), server.house
    plain = await server.read("/a.dcm")
    announce = FreshSecrets.announce

    async def after_a_view(fresh: FreshSecrets) -> None:
        """The basic view and its parts, made by somebody else between what was encrypted and the change."""
        monkeypatch.setattr(FreshSecrets, "announce", announce)
        async with house.database.transaction() as db:
            await db.execute("delete from views where image = $1 and name = 'basic'", image)
            await db.execute(
                "delete from parts where image = $1 and kind = 'head' and secret = 'image'", image
            )
        served = house.views.get(View("basic"))
        assert served is not None
        assert await make_view(house.workshop, house.shelf, served, image)
        await announce(fresh)

    monkeypatch.setattr(FreshSecrets, "announce", after_a_view)
    assert (await rekeyed(server, "/a.dcm"))["generation"] == 2
    assert await server.read("/a.dcm") == plain
    await nobody_reads_any_more(server)
    assert await server.read("/a.dcm") == plain
    assert await count(house.database, "blobs where state <> 'stored'") == 0
    assert await count(house.database, "blobs") == await count(house.database, "parts where blob is not null")


async def test_an_image_of_which_ever_more_is_made_keeps_its_keys(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_server
    await server.put("/a.dcm", made(pixels=BLOB))
    image, house = await image_of(server, "/a.dcm"), server.house
    before, _ = await stored(server, image)
    resealed, number = rekeying.resealed, 0

    def beside(*arguments: object) -> object:
        nonlocal number
        number += 1
        asyncio.run_coroutine_threadsafe(renewed(), loop).result()
        return resealed(*arguments)  # type: ignore[arg-type]

    async def renewed() -> None:
        async with house.database.acquire() as db:
            await db.execute(
                "insert into views (image, name, version, state, reason, secret)"
                " values ($1, $2, 'x.1', 'refused', 'no', 'image')",
                image,
                f"view{number}",
            )

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(rekeying, "resealed", beside)
    ((_, told),) = await house.rekeying.rekey(await caller(server), ["/a.dcm"])
    assert isinstance(told, Busy)
    assert (await stored(server, image))[0].registration == before.registration
    assert await count(house.database, "blobs") == len(generations.blobs_of(before.parts))
    assert await count(house.database, "mdm_keys.image_secrets") == 2


async def test_what_is_made_by_keys_from_before_is_not_kept(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_server
    await server.put("/a.dcm", made(pixels=BLOB))
    image, house = await image_of(server, "/a.dcm"), server.house
    async with house.database.transaction() as db:
        await db.execute("delete from views where image = $1 and name = 'basic'", image)
    source_of = remaking.source_of

    async def then_rekeyed(*arguments: object) -> object:
        found = await source_of(*arguments)  # type: ignore[arg-type]
        monkeypatch.setattr(remaking, "source_of", source_of)
        await rekeyed_elsewhere(server, "/a.dcm")
        return found

    served = house.views.get(View("basic"))
    assert served is not None
    monkeypatch.setattr(remaking, "source_of", then_rekeyed)
    assert not await make_view(house.workshop, house.shelf, served, image)
    assert await make_view(house.workshop, house.shelf, served, image)
    assert await server.read("/a.dcm")


async def test_digests_that_were_computed_meanwhile_are_not_sealed_under_keys_from_before(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_server
    await server.put("/a.dcm", made(pixels=BLOB))
    house, image = server.house, await image_of(server, "/a.dcm")
    view = await house.shelf.load_one(house.database, image, View("basic"))
    secrets = Shelf.secrets

    async def then_rekeyed(shelf: Shelf, found: object) -> object:
        fetched = await secrets(shelf, found)  # type: ignore[arg-type]
        monkeypatch.setattr(Shelf, "secrets", secrets)
        await rekeyed_elsewhere(server, "/a.dcm")
        return fetched

    monkeypatch.setattr(Shelf, "secrets", then_rekeyed)
    await house.shelf.keep_digests(house.database, view, {"md5": bytes(16)})
    assert await server.read("/a.dcm")
    await house.shelf.keep_digests(house.database, view, {"md5": bytes(16)})
    known = await house.shelf.load_one(house.database, image, View("basic"))
    assert known.record.md5 == bytes(16).hex()


async def test_a_view_that_is_looked_for_while_keys_change_is_found_whole(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_server
    await server.put("/a.dcm", made(pixels=BLOB))
    house, image = server.house, await image_of(server, "/a.dcm")
    parts_of_views = stored_views.parts_needed

    async def after_a_change(*arguments: object) -> object:
        monkeypatch.setattr(stored_views, "parts_needed", parts_of_views)
        asked = await elsewhere_on_its_own(server, "/a.dcm")
        assert asked
        return await parts_of_views(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(stored_views, "parts_needed", after_a_change)
    found = await house.shelf.load_one(house.database, image, View("basic"))
    assert found.registration == (await stored(server, image))[0].registration


async def test_what_an_original_says_is_not_sealed_under_keys_from_before(
    own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = own_server
    await server.put("/a.dcm", made())
    house, image = server.house, await image_of(server, "/a.dcm")
    before = await identified_values(house.database, house.keys, house.cipher, [image])
    of_original = indexing._of_original

    async def then_rekeyed(*arguments: object) -> object:
        made_ = await of_original(*arguments)  # type: ignore[arg-type]
        await rekeyed_elsewhere(server, "/a.dcm")
        return made_

    monkeypatch.setattr(indexing, "_of_original", then_rekeyed)
    async with house.database.acquire() as db:
        await db.execute("insert into images_to_index (image) values ($1)", image)
    await indexing.index_stored(house.workshop, house.shelf, house.node)
    assert await count(house.database, "images_to_index where failure = 'Busy'") == 1
    assert before[image]
    assert await identified_values(house.database, house.keys, house.cipher, [image]) == before


async def elsewhere_on_its_own(server: Server, surl: str) -> UUID:
    """Keys changed by a task of its own: whoever holds a connection waits for no key store, and this does."""
    who = await asyncio.create_task(caller(server))
    ((_, done),) = await asyncio.create_task(elsewhere(server).rekey(who, [surl]))
    assert isinstance(done, Rekeyed), done
    return done.keys.registration
