"""Views that images do not have yet: a new profile or scrubber means a new version, made here from the original.

Until it is made the view is pending. What is made once is kept; when two nodes make it, one wins.
"""

import asyncio
from uuid import UUID

import structlog

from mdm_async.catalog import blobs, images
from mdm_async.dicom.part10 import Kind, Splitter
from mdm_async.errors import Gone, MdmError
from mdm_async.images import basic_view, stream, view
from mdm_async.images.archive import Archive
from mdm_async.images.basic_view import Source
from mdm_async.images.leases import Leases
from mdm_async.images.view import ReadyView
from mdm_async.keys.store import Secrets
from mdm_async.names import BASIC, IDENTIFIED

_BATCH = 50
_PAUSE = 5.0

_log = structlog.get_logger()


async def backfill(archive: Archive) -> int:
    """Make the missing `basic` views of all images, one after the other; how many were made."""
    version = archive.version(BASIC)
    assert version is not None
    made, failed = 0, set[UUID]()
    while True:
        async with archive.database.acquire() as db:
            missing = await images.without_view(db, BASIC, version, _BATCH + len(failed))
        missing = [image for image in missing if image not in failed]
        if not missing:
            return made
        for image in missing:
            try:
                made += await _make(archive, image)
            except MdmError as why:
                # One damaged image must not keep the others waiting; the next start tries it again.
                failed.add(image)
                _log.warning("a view could not be made", image=str(image), reason=why.detail)
            except Exception as why:  # a mistake of ours, on this image; its message could quote the file
                failed.add(image)
                _log.error("a view could not be made", image=str(image), kind=type(why).__name__)


async def backfill_until_done(archive: Archive) -> None:
    """Run `backfill` once through; a database that is away puts it off."""
    while True:
        try:
            made = await backfill(archive)
        except MdmError as why:
            _log.warning("making views put off", reason=why.detail)
            await asyncio.sleep(_PAUSE)
        else:
            if made:
                _log.info("made the views that were missing", count=made)
            return


async def _make(archive: Archive, image: UUID) -> bool:
    try:
        original, secrets = await _open(archive, image)
        source = await _source(archive, original)
        async with Leases(archive.database, archive.blobs, archive.settings.blobs.lease_seconds) as leases:
            made = await basic_view.make(archive, leases, image, secrets, source)
            async with archive.database.transaction() as db:
                await blobs.settle(db, list(leases.blobs))
                if not await images.add_view(db, made.parts, made.view):
                    raise Gone("another node made the view first")
            leases.keep()
    except Gone:
        return False
    return True


async def _open(archive: Archive, image: UUID) -> tuple[ReadyView, Secrets]:
    async with archive.database.acquire() as db:
        original = await view.load_one(archive, db, image, IDENTIFIED)
        registration = await images.registration(db, image)
        return original, (await archive.keys.fetch(db, [registration], identity=True))[image]


async def _source(archive: Archive, original: ReadyView) -> Source:
    facts, shared = original.record.pixels, original.record.shared
    assert facts is not None
    if original.parts[0].row.kind == Kind.ORIGINAL.value:
        head, tail = await _inflated(archive, original)
    else:
        sizes = [part.record.size for part in original.parts]
        limit = archive.settings.scrub.max_head
        head = await _bytes(archive, original, 0, sizes[0]) if sizes[0] + sum(sizes[2:]) <= limit else None
        tail = await _bytes(archive, original, sum(sizes[:2]), sum(sizes)) if head is not None else b""
    return Source(head, tail, facts, shared)


async def _bytes(archive: Archive, original: ReadyView, start: int, stop: int) -> bytes:
    return b"".join([bytes(piece) async for piece in stream.clear(archive, original, start, stop)])


async def _inflated(archive: Archive, original: ReadyView) -> tuple[bytes | None, bytes]:
    """Head and tail of a deflated file; no head when they are larger than may be scrubbed."""
    kept = {Kind.HEAD: bytearray(), Kind.TAIL: bytearray()}
    splitter = Splitter()
    async for chunk in stream.clear(archive, original, 0, original.size):
        for piece in splitter.stream(chunk):
            if piece.kind in kept:
                kept[piece.kind] += piece.data
            if sum(map(len, kept.values())) > archive.settings.scrub.max_head:
                return None, b""
    return bytes(kept[Kind.HEAD]), bytes(kept[Kind.TAIL])
