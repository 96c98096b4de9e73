"""An image's original, opened by the server itself: to make views of it, or to find a patient again."""

from dataclasses import replace
from functools import partial
from uuid import UUID

from mdm_async.catalog.holdings import images, made_views, stored_parts, stored_views
from mdm_async.dicom.part10 import Kind
from mdm_async.dicom.pixels import plan as pixel_plan
from mdm_async.dicom.pixels.description import PIXELS_REVISION, Description, PixelFacts
from mdm_async.dicom.pixels.inspector import Inspector
from mdm_async.errors import MdmError, Unavailable
from mdm_async.images.parts import record
from mdm_async.images.parts.leases import Leases
from mdm_async.images.parts.record import PartRecord
from mdm_async.images.parts.writer import WrittenPart
from mdm_async.images.reading import stream, view
from mdm_async.images.reading.heads import head_and_tail
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.views.making import Source
from mdm_async.images.views.pixels import Pixels
from mdm_async.images.views.workshop import Workshop
from mdm_async.keys.store import IDENTITY, IMAGE, Secrets
from mdm_async.names import IDENTIFIED
from mdm_async.postgres.database import Connection, Database


async def source_of(workshop: Workshop, shelf: Shelf, leases: Leases, image: UUID) -> Source:
    """What views of an image are made of. Raises Gone, Damaged."""
    original, secrets = await _open(workshop.depot.database, shelf, image)
    head, tail = await head_and_tail(
        workshop.depot.blobs, workshop.cipher, original, workshop.limits.max_head
    )
    facts = original.record.pixels
    assert facts is not None
    if facts.present and original.record.pixels_revision < PIXELS_REVISION:
        facts = replace(facts, findings=await _findings(workshop, original, secrets, head))
        await _remember(workshop, original, secrets, facts)
    pixels = await _pixels(workshop, leases, original, secrets, head, followed=bool(tail))
    return Source(image, secrets, head, tail, facts, pixels, original.record.issued_by)


async def original_head(workshop: Workshop, shelf: Shelf, image: UUID) -> bytes | None:
    """The original's head; None when it is larger than `scrub.max_head`. Raises Gone, Damaged."""
    return (await head_and_issuer(workshop, shelf, image))[0]


async def head_and_issuer(workshop: Workshop, shelf: Shelf, image: UUID) -> tuple[bytes | None, str | None]:
    """As `original_head`; and who has issued its Patient ID, as of `issuer_of`."""
    original, _ = await _open(workshop.depot.database, shelf, image)
    limit = workshop.limits.max_head
    head, _tail = await head_and_tail(workshop.depot.blobs, workshop.cipher, original, limit)
    return head, original.record.issued_by


async def _open(database: Database, shelf: Shelf, image: UUID) -> tuple[ReadyView, Secrets]:
    original = await shelf.load_one(database, image, IDENTIFIED)
    async with database.acquire() as db:
        registration = await images.registration(db, image)
    secrets = (await shelf.keys.fetch([registration], identity=True)).of(image, registration)
    if secrets is None:
        # It opened just now: it was deleted since, or given other keys, and then it is still somebody's.
        raise Unavailable("the image's keys are changed just now", remedy="try again")
    return original, secrets


async def _pixels(
    workshop: Workshop,
    leases: Leases,
    original: ReadyView,
    secrets: Secrets,
    head: bytes | None,
    *,
    followed: bool,
) -> Pixels | None:
    stored = original.record.shared
    if stored is None:
        return None
    async with workshop.depot.database.acquire() as db:
        row = (await stored_parts.by_id(db, [stored.id]))[stored.id]
        shared = await _shared(db, original.image, secrets)
    about, transfer_syntax = await workshop.cipher.run(partial(_described, head))
    return Pixels(
        workshop,
        leases,
        original.image,
        secrets,
        WrittenPart(row, stored),
        about,
        transfer_syntax,
        followed,
        shared=shared,
    )


async def _findings(
    workshop: Workshop, original: ReadyView, secrets: Secrets, head: bytes | None
) -> tuple[str, ...]:
    """What is found in the stored pixels today."""
    stored = original.record.shared
    assert stored is not None
    async with workshop.depot.database.acquire() as db:
        row = (await stored_parts.by_id(db, [stored.id]))[stored.id]
    about, transfer_syntax = await workshop.cipher.run(partial(_described, head))
    inspector = Inspector(transfer_syntax, about)
    alone = view.of_part(original.image, row, stored, secrets)
    async for piece in stream.clear(workshop.depot.blobs, alone, 0, alone.size):
        await workshop.cipher.run(partial(inspector.feed, piece))
    return inspector.findings()


async def _remember(workshop: Workshop, original: ReadyView, secrets: Secrets, facts: PixelFacts) -> None:
    """So that the next view need not look at the pixels."""
    known = replace(original.record, pixels=facts, pixels_revision=PIXELS_REVISION)
    sealed = record.seal(known, secrets.of(IDENTITY), original.image, IDENTIFIED, original.version)
    async with workshop.depot.database.acquire() as db:
        await made_views.renew_record(
            db, original.image, secrets.registration, IDENTIFIED, original.version, sealed
        )


def _described(head: bytes | None) -> tuple[Description | None, str]:
    if head is None:
        return None, ""
    try:
        about, _, transfer_syntax = pixel_plan.describe(head)
    except MdmError:
        return None, ""  # scrubbing will say what is wrong with it
    return about, transfer_syntax


async def _shared(db: Connection, image: UUID, secrets: Secrets) -> dict[str, PartRecord]:
    """The pixels that views of this image share already, by variant."""
    records: dict[UUID, PartRecord] = {}
    for stored in await stored_views.ready(db, image):
        if stored.secret == IMAGE and stored.record is not None:
            opened = record.unseal(stored.record, secrets.image, image, stored.name, stored.version)
            records |= {part.id: part for part in opened.parts}
    rows = await stored_parts.by_id(db, records)
    return {row.variant: records[row.id] for row in rows.values() if row.kind == Kind.PIXELS.value}
