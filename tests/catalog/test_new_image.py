"""A new image and all that belongs to it: there at once, or not at all."""

from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from mdm_async.catalog.holdings import blobs, bringers, stored_parts, stored_views
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.catalog.holdings.stored_views import StoredView
from mdm_async.catalog.metadata import matches, new_image
from mdm_async.catalog.metadata.blind import SealedOriginal, of_stored, sealed_of
from mdm_async.catalog.metadata.index import IndexedView
from mdm_async.catalog.metadata.new_image import NewImage
from mdm_async.dicom.attributes import Attributes
from mdm_async.errors import Gone
from mdm_async.names import BASIC
from mdm_async.postgres.database import Connection

SAID = Attributes({"PatientID": ["P"]}, {"StudyID": ["S"]}, {"Modality": ["CT"]}, {"InstanceNumber": [1]})


def _new(id_: UUID, blob: UUID) -> NewImage:
    head = Part(uuid4(), id_, "head", "basic", "image", 1, bytes(32), 10, 1, b"inline", None)
    pixels = Part(uuid4(), id_, "pixels", "original", "image", 1, bytes(32), 20, 2, None, blob)
    ready = StoredView(
        id_, BASIC, "a.1", "image", b"record", None, parts=(head.id, pixels.id), pseudonyms=(b"1", b"2")
    )
    refused = StoredView(id_, "other", "b.1", "image", None, "no", quarantined=True)
    return NewImage(
        id_,
        uuid4(),
        "user:a",
        [blob],
        [head, pixels],
        [ready, refused],
        [IndexedView(id_, BASIC, "a.1", SAID)],
        SealedOriginal(id_, b"sealed", [(0x00100020, b"digest"), (0x00080018, b"other")]),
    )


async def test_all_of_it_is_there_though_no_image_has_said_the_same(db: Connection) -> None:
    id_, blob = uuid4(), uuid4()
    new = _new(id_, blob)
    await blobs.lease(db, blob, 60)
    async with db.transaction():
        await new_image.insert(db, new)
    assert await bringers.was_brought_by(db, id_, "user:a")
    held = await stored_views.holdings(db, [(id_, BASIC), (id_, "other")], ["a.1", "b.1"])
    assert held[id_, BASIC].view == replace(new.views[0], pseudonyms=())
    told = await db.fetchval("select pseudonyms from views where image = $1 and name = $2", id_, BASIC)
    assert told == [b"1", b"2"]
    assert held[id_, BASIC].registration == new.registration
    other = held[id_, "other"].view
    assert other is not None
    assert (other.state, other.reason) == ("quarantined", "no")
    assert await stored_parts.by_id(db, [one.id for one in new.parts]) == {one.id: one for one in new.parts}
    assert await matches.said(db, [(id_, BASIC)], ["a.1"]) == [SAID.all()]
    assert await sealed_of(db, [id_]) == {id_: b"sealed"}
    assert await of_stored(db, [id_], [0x00100020, 0x00080018]) == {id_: {b"digest", b"other"}}
    (known,) = (await blobs.known(db, [blob])).values()
    assert (known.state, known.image) == ("stored", id_)


@pytest.mark.parametrize("forgotten", [False, True])
async def test_nothing_of_it_is_there_when_a_lease_has_lapsed(db: Connection, forgotten: bool) -> None:
    id_, blob = uuid4(), uuid4()
    await blobs.lease(db, blob, -1)
    await blobs.doom_lapsed(db, 10)
    if forgotten:
        await blobs.forget(db, [blob])
    with pytest.raises(Gone):
        async with db.transaction():
            await new_image.insert(db, _new(id_, blob))
    assert not await bringers.was_brought_by(db, id_, "user:a")
    assert not await sealed_of(db, [id_])
