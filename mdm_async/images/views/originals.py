"""An image's original, opened by the server itself: to make views of it, or to find a patient again."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from uuid import UUID

from mdm_async.catalog.holdings import images
from mdm_async.dicom.part10 import Kind, Piece, Splitter
from mdm_async.dicom.pixels import plan as pixel_plan
from mdm_async.dicom.pixels.codestream import Inspector
from mdm_async.dicom.pixels.description import PIXELS_REVISION
from mdm_async.dicom.refusals import Description
from mdm_async.errors import MdmError
from mdm_async.images.archive import Archive
from mdm_async.images.parts import record
from mdm_async.images.parts.leases import Leases
from mdm_async.images.parts.record import PartRecord
from mdm_async.images.parts.writer import WrittenPart
from mdm_async.images.reading import stream, view
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.views.making import Source
from mdm_async.images.views.pixels import Pixels
from mdm_async.keys.store import IMAGE, Secrets
from mdm_async.names import IDENTIFIED
from mdm_async.postgres.database import Connection

_PIECES = 8


async def source_of(archive: Archive, leases: Leases, image: UUID) -> Source:
    """What views of an image are made of. Raises Gone, Damaged."""
    original, secrets = await _open(archive, image)
    head, tail = await head_and_tail(archive, original)
    facts = original.record.pixels
    assert facts is not None
    if facts.present and original.record.pixels_revision < PIXELS_REVISION:
        facts = replace(facts, findings=await _findings(archive, original, secrets, head))
    pixels = await _pixels(archive, leases, original, secrets, head, followed=bool(tail))
    return Source(image, secrets, head, tail, facts, pixels)


async def original_head(archive: Archive, image: UUID) -> bytes | None:
    """The original's head; None when it is larger than `scrub.max_head`. Raises Gone, Damaged."""
    original, _ = await _open(archive, image)
    return (await head_and_tail(archive, original))[0]


async def head_and_tail(archive: Archive, original: ReadyView) -> tuple[bytes | None, bytes]:
    """Head (None when it is larger than `scrub.max_head`) and tail; of a deflated file inflated."""
    if original.parts[0].row.kind == Kind.ORIGINAL.value:
        return await _inflated(archive, original)
    sizes = [part.record.size for part in original.parts]
    if sizes[0] + sum(sizes[2:]) > archive.settings.scrub.max_head:
        return None, b""
    head = await _bytes(archive, original, 0, sizes[0])
    return head, await _bytes(archive, original, sum(sizes[:2]), sum(sizes))


async def _open(archive: Archive, image: UUID) -> tuple[ReadyView, Secrets]:
    async with archive.database.acquire() as db:
        original = await archive.shelf.load_one(db, image, IDENTIFIED)
        registration = await images.registration(db, image)
        return original, (await archive.keys.fetch(db, [registration], identity=True))[image]


async def _pixels(
    archive: Archive,
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
    async with archive.database.acquire() as db:
        row = (await images.parts(db, [stored.id]))[stored.id]
        shared = await _shared(archive, db, original.image, secrets)
    about, transfer_syntax = await archive.cipher.run(partial(_described, head))
    return Pixels(
        archive,
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
    archive: Archive, original: ReadyView, secrets: Secrets, head: bytes | None
) -> tuple[str, ...]:
    """What is found in the stored pixels today."""
    stored = original.record.shared
    assert stored is not None
    async with archive.database.acquire() as db:
        row = (await images.parts(db, [stored.id]))[stored.id]
    about, transfer_syntax = await archive.cipher.run(partial(_described, head))
    inspector = Inspector(transfer_syntax, about)
    alone = view.of_part(original.image, row, stored, secrets)
    async for piece in stream.clear(archive.blobs, alone, 0, alone.size):
        await archive.cipher.run(partial(inspector.feed, piece))
    return inspector.findings()


def _described(head: bytes | None) -> tuple[Description | None, str]:
    if head is None:
        return None, ""
    try:
        about, _, transfer_syntax = pixel_plan.describe(head)
    except MdmError:
        return None, ""  # scrubbing will say what is wrong with it
    return about, transfer_syntax


async def _shared(archive: Archive, db: Connection, image: UUID, secrets: Secrets) -> dict[str, PartRecord]:
    """The pixels that views of this image share already, by variant."""
    records: dict[UUID, PartRecord] = {}
    for stored in await images.views_of(db, image):
        if stored.secret == IMAGE and stored.record is not None:
            opened = record.unseal(stored.record, secrets.image, image, stored.name, stored.version)
            records |= {part.id: part for part in opened.parts}
    rows = await images.parts(db, records)
    return {row.variant: records[row.id] for row in rows.values() if row.kind == Kind.PIXELS.value}


async def _bytes(archive: Archive, original: ReadyView, start: int, stop: int) -> bytes:
    return b"".join([bytes(piece) async for piece in stream.clear(archive.blobs, original, start, stop)])


async def _inflated(archive: Archive, original: ReadyView) -> tuple[bytes | None, bytes]:
    """Head and tail of a deflated file; no head when they are larger than may be scrubbed."""
    kept = {Kind.HEAD: bytearray(), Kind.TAIL: bytearray()}
    splitter = Splitter()
    async for chunk in stream.clear(archive.blobs, original, 0, original.size):
        pieces = splitter.stream(chunk)
        # Off the loop, and a few at a time: a chunk may inflate to a thousand times its size.
        while some := await archive.cipher.run(partial(_some, pieces)):
            for piece in some:
                if piece.kind in kept:
                    kept[piece.kind] += piece.data
            if sum(map(len, kept.values())) > archive.settings.scrub.max_head:
                return None, b""
    return bytes(kept[Kind.HEAD]), bytes(kept[Kind.TAIL])


def _some(pieces: Iterator[Piece]) -> list[Piece]:
    return list(islice(pieces, _PIECES))
