"""What a second site has removed gives its GUIDs up to what comes from the first again."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

from mdm_async.catalog.metadata import new_image
from mdm_async.catalog.metadata.new_image import NewImage
from mdm_async.catalog.mirrors import applying
from mdm_async.catalog.mirrors.applying import Acls
from mdm_async.catalog.mirrors.states import State
from mdm_async.catalog.namespace import bindings, cut_trees
from mdm_async.keys.derive import EntryBindings
from mdm_async.postgres.database import Connection

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NONE = Acls(None, None)


def said(guid: UUID, name: str) -> State:
    return State(guid, None, name, None, *[None] * 8, NOW, NOW, [], None, [])


async def test_what_gave_its_guid_up_is_bound_still(db: Connection) -> None:
    """Its image may be named again meanwhile: a deep check finds nothing astray."""
    made, image, file = EntryBindings(bytes(32)), uuid4(), said(uuid4(), "a.dcm")
    await new_image.insert(db, NewImage(image, uuid4()))
    root = await db.fetchrow("select id, guid from entries where parent is null")
    assert root is not None
    for _ in range(2):
        directory = await applying.place(
            db, root["id"], root["guid"], said(uuid4(), "d"), NONE, None, made.of
        )
        above = await db.fetchval("select guid from entries where id = $1", directory)
        await applying.place(db, root["id"], above, file, NONE, image, made.of)
        await cut_trees.cut_off(db, directory)
    found = await bindings.of_image(db, image)
    assert len({one.guid for one in found}) == 2
    assert all(
        one.binding is not None and made.fits(one.guid, one.image, one.only_view, one.binding)
        for one in found
    )
