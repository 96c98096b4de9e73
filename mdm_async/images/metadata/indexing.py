"""Images that are not indexed, or by an older table of attributes, are indexed from what is stored, by any node; and
where their frames lie is noted."""

from functools import partial
from uuid import UUID

from cryptography.exceptions import InvalidTag

from mdm_async.catalog.holdings import generations, images, stored_parts, stored_views
from mdm_async.catalog.holdings.stored_views import StoredView
from mdm_async.catalog.metadata import blind, index
from mdm_async.catalog.metadata.blind import SealedOriginal
from mdm_async.catalog.metadata.index import IndexedView
from mdm_async.catalog.work import images_to_index
from mdm_async.catalog.work.images_to_index import IMAGES_TO_INDEX
from mdm_async.catalog.work.queue import Row
from mdm_async.dicom.attributes import attributes_of
from mdm_async.dicom.indexed import REVISION
from mdm_async.errors import Damaged, Gone, NotOnline
from mdm_async.images.metadata.frames_noting import note_frames
from mdm_async.images.parts import record
from mdm_async.images.reading import stream, view
from mdm_async.images.reading.heads import beginning
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.several import several_at_once
from mdm_async.images.shift import Shift, over_and_over
from mdm_async.images.views.blinding import sealed_original
from mdm_async.images.views.workshop import Workshop
from mdm_async.keys.store import IMAGE, Secrets
from mdm_async.names import IDENTIFIED, OPAQUE

_AT_ONCE = 2
"""Images whose heads are held in memory."""
_PAGE = 500
_LOOK = 10.0
"""Seconds between looks for work, which comes with a new version."""


async def index_forever(workshop: Workshop, shelf: Shelf, node: str) -> None:
    await over_and_over("indexing", partial(index_stored, workshop, shelf, node), _LOOK)


async def index_stored(workshop: Workshop, shelf: Shelf, node: str) -> None:
    """Until none is left that is due. A node with an older table leaves it to those with a newer."""
    database, more = workshop.depot.database, True
    while more:
        async with database.transaction() as db:
            if await images_to_index.left_to_newer_nodes(db, REVISION):
                return
            more = await images_to_index.add_page(db, _PAGE)
        async with Shift(database, IMAGES_TO_INDEX, node, _AT_ONCE) as shift:

            async def look(row: Row, shift: Shift = shift) -> None:
                await _index(workshop, shelf, row.key[0])
                await shift.done([row])

            await several_at_once(shift.rows(), partial(shift.attempt, work=look), _AT_ONCE)


async def _index(workshop: Workshop, shelf: Shelf, image: UUID) -> None:
    """All views of an image, and its original, anew. One that does not open leaves the others to be found."""
    database = workshop.depot.database
    async with database.snapshot() as db:
        registered = (await images.registrations(db, [image])).get(image)
        stored = [one for one in await stored_views.ready(db, image) if one.name != OPAQUE]
    if registered is None or not stored:
        return
    secrets = (await shelf.keys.fetch([registered], identity=True)).of(image, registered)
    if secrets is None:
        return
    made = [await _of_view(workshop, one, secrets) for one in stored if one.secret == IMAGE]
    views = [one for one in made if one is not None]
    original = await _of_original(workshop, shelf, image, secrets)
    async with database.acquire() as db:
        await index.announce(db, views)
    try:
        async with database.transaction() as db:
            await images.lock(db, image)
            await generations.demand(db, image, registered)
            await index.replace(db, image, views)
            if original is not None:
                await blind.put(db, original)
        await note_frames(workshop, image, registered, stored, secrets)
    except (Gone, Damaged):
        return


async def _of_view(workshop: Workshop, stored: StoredView, secrets: Secrets) -> IndexedView | None:
    """None when it does not open."""
    assert stored.record is not None
    try:
        opened = record.unseal(stored.record, secrets.image, stored.image, stored.name, stored.version)
        first = opened.parts[0]
        async with workshop.depot.database.acquire() as db:
            rows = await stored_parts.by_id(db, [first.id])
        head = await stream.first_part(
            workshop.depot.blobs, view.of_part(stored.image, rows[first.id], first, secrets)
        )
    except (InvalidTag, KeyError, Damaged):
        return None
    said = await workshop.cipher.run(partial(attributes_of, head))
    return IndexedView(stored.image, stored.name, stored.version, said)


async def _of_original(
    workshop: Workshop, shelf: Shelf, image: UUID, secrets: Secrets
) -> SealedOriginal | None:
    depot = workshop.depot
    try:
        original = await shelf.load_one(depot.database, image, IDENTIFIED)
        head = await beginning(depot.blobs, depot.cipher, original, workshop.limits.max_head)
    except (Gone, NotOnline, Damaged):
        return None
    issued_by = original.record.issued_by
    return await workshop.cipher.run(
        partial(sealed_original, head, image, secrets, workshop.blind, issued_by)
    )
