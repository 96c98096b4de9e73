"""Images registered without bytes, in the catalog: sealed sources, pins, last use, and the bytes that come at last."""

import os
from uuid import UUID, uuid4

import asyncpg
import pytest

from mdm_async.catalog.grants import grants
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.holdings import images, locality, sources, stored_views
from mdm_async.catalog.holdings.locality import Locality
from mdm_async.catalog.holdings.stored_views import StoredView
from mdm_async.catalog.metadata import new_image
from mdm_async.catalog.metadata.new_image import NewImage
from mdm_async.catalog.namespace import entries
from mdm_async.errors import BadRequest, Damaged
from mdm_async.images.parts import pacs_source
from mdm_async.images.parts.pacs_source import PacsSource
from mdm_async.postgres.database import Connection

SOURCE = PacsSource("radiology", "1.2.840.99.1", "1.2.840.99.1.2", "1.2.840.99.1.2.3")
IDENTITY = os.urandom(32)
DIGESTS = sources.Digests(b"study", b"series", b"instance")


async def registered(db: Connection, source: PacsSource = SOURCE) -> UUID:
    image, id_ = uuid4(), uuid4()
    await sources.register(
        db, image, uuid4(), id_, pacs_source.seal(source, IDENTITY, image, id_), source.pacs, DIGESTS
    )
    return image


async def test_a_source_is_read_with_the_identity_secret_of_its_image_only(db: Connection) -> None:
    image, other = await registered(db), await registered(db)
    assert await locality.of_images(db, [image, uuid4()]) == {image: Locality.NEARLINE}
    found = await sources.of_image(db, image)
    assert found is not None
    id_, sealed = found
    assert pacs_source.unseal(sealed, IDENTITY, image, id_) == SOURCE
    for secret, whose, row in (
        (os.urandom(32), image, id_),
        (IDENTITY, other, id_),
        (IDENTITY, image, uuid4()),
    ):
        with pytest.raises(Damaged):
            pacs_source.unseal(sealed, secret, whose, row)


async def test_the_catalog_tells_by_name_the_archive_of_an_image_and_nothing_of_whose_it_is(
    db: Connection,
) -> None:
    longer = PacsSource(
        "the-archive-of-cardiology", "1.2.840.99.12345.67890", "1.2.3", "1.2.840.99.1.2.34567"
    )
    sizes = set()
    for source in (SOURCE, longer):
        image = await registered(db, source)
        rows = await db.fetch(
            "select i::text as image, s::text as source, encode(s.sealed, 'escape') as bytes, length(s.sealed) as size"
            " from images i join sources s on s.id = i.source where i.id = $1",
            image,
        )
        text = " ".join(row["image"] + row["source"] + row["bytes"] for row in rows)
        assert not [word for word in (source.study, source.instance) if word in text]
        sizes.add(rows[0]["size"])
    assert len(sizes) == 1
    assert "1.2.840" not in repr(SOURCE)


@pytest.mark.parametrize("uid", ["", "1..2", "01.2", "1.2.x", "1" * 65, "1.2\n"])
def test_what_is_no_uid_is_refused_and_not_repeated(uid: str) -> None:
    with pytest.raises(BadRequest) as refused:
        PacsSource("main", "1.2", uid, "1.2.3")
    assert not uid or uid not in str(refused.value)


async def test_no_image_is_said_to_be_at_a_source_that_it_has_not(db: Connection) -> None:
    image = uuid4()
    await new_image.insert(db, NewImage(image, uuid4()))
    assert await locality.of_images(db, [image]) == {image: Locality.ONLINE}
    assert await sources.of_image(db, image) is None
    for where in (Locality.NEARLINE, Locality.ONLINE_AND_NEARLINE, Locality.UNAVAILABLE):
        with pytest.raises(asyncpg.CheckViolationError):
            await db.execute("update images set locality = $2 where id = $1", image, where)


async def test_bytes_that_come_make_an_image_online_once(db: Connection) -> None:
    image = await registered(db)
    view = StoredView(image, "basic", "d.1", "image", None, "refused for this test")
    assert await images.fill(db, image, [], [view])
    assert await locality.of_images(db, [image]) == {image: Locality.ONLINE_AND_NEARLINE}
    holding = (await stored_views.holdings(db, [(image, "basic")], ["d.1"]))[image, "basic"]
    assert (holding.locality.is_online, holding.view and holding.view.reason) == (
        True,
        "refused for this test",
    )
    assert not await images.fill(db, image, [], [])
    assert not await images.fill(db, uuid4(), [], [])

    lost = await registered(db)
    await db.execute("update images set locality = 'LOST', source = null where id = $1", lost)
    assert await images.fill(db, lost, [], [])
    assert await locality.of_images(db, [lost]) == {lost: Locality.ONLINE}


async def test_an_image_that_is_read_is_used_now(db: Connection) -> None:
    image = await registered(db)
    await db.execute("update images set last_used = now() - interval '1 year'")
    await images.use(db, [image], 60)
    assert await db.fetchval(
        "select last_used > now() - interval '1 minute' from images where id = $1", image
    )


async def test_pins_hold_an_image_until_they_are_released_or_expire(db: Connection) -> None:
    image, other = await registered(db), await registered(db)
    root = await db.fetchval("select id from entries where parent is null")
    guid = await entries.add_file(db, root, "one", image)
    entry = await db.fetchval("select id from entries where guid = $1", guid)
    request = uuid4()

    def grant(item: int, state: str = "pinned", life: float = 60, operation: str = "get") -> Grant:
        return Grant(
            turl=os.urandom(32), request=request, item=item, operation=operation, state=state, caller="user:a",
            owner="user:a", surl="/one", life=life, entry=entry, image=image,
        )  # fmt: skip

    held = [grant(0), grant(1)]
    await grants.insert(
        db, [*held, grant(2, "released"), grant(3, life=-1), grant(4, "done", operation="put")]
    )
    assert await grants.pins_of(db, [image, other]) == {image: 2}


async def test_the_source_of_an_image_goes_with_it(db: Connection) -> None:
    image = await registered(db)
    await images.doom_unreferenced(db, [image])
    await images.destroy_doomed(db, [image])
    assert await db.fetchval("select count(*) from sources") == 0
