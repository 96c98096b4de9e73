"""Making an image's `basic` view: scrub head and tail, write the new ones, share the pixels."""

from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.images import Part, StoredView
from mdm_async.dicom.scrub import PixelFacts, Scrubbed
from mdm_async.errors import ScrubRefused
from mdm_async.images import record
from mdm_async.images.archive import Archive
from mdm_async.images.leases import Leases
from mdm_async.images.part_writer import PartWriter, WrittenPart
from mdm_async.images.record import PartRecord, ViewRecord
from mdm_async.images.scrubbing import Job
from mdm_async.keys.store import IMAGE, Secrets
from mdm_async.names import BASIC


@dataclass(frozen=True, slots=True, repr=False)
class Source:
    """What the view is made of. `head` is None when it is larger than `scrub.max_head`."""

    head: bytes | None
    tail: bytes
    facts: PixelFacts
    pixels: PartRecord | None


@dataclass(frozen=True, slots=True)
class Made:
    """The view, ready or refused, and the parts that were written for it."""

    view: StoredView
    parts: list[Part]


async def make(archive: Archive, leases: Leases, image: UUID, secrets: Secrets, source: Source) -> Made:
    """The view in the version now in force; refused with the reason when it cannot be made."""
    version = archive.version(BASIC)
    assert version is not None
    try:
        scrubbed = await _scrub(archive, source)
    except ScrubRefused as refusal:
        return Made(StoredView(image, BASIC, version, IMAGE, None, str(refusal)), [])
    has_pixels = source.pixels is not None
    head = await _write(archive, leases, image, secrets, "head", scrubbed.head, followed=has_pixels)
    written, records = [head], [head.record]
    if source.pixels is not None:
        records.append(source.pixels)
    if scrubbed.tail:
        tail = await _write(archive, leases, image, secrets, "tail", scrubbed.tail, followed=False)
        written.append(tail)
        records.append(tail.record)
    sealed = record.seal(ViewRecord(tuple(records)), secrets.image, image, BASIC, version)
    return Made(StoredView(image, BASIC, version, IMAGE, sealed, None), [part.row for part in written])


async def _scrub(archive: Archive, source: Source) -> Scrubbed:
    if source.head is None:
        raise ScrubRefused("the head is larger than scrub.max_head")
    return await archive.scrubber.scrub(
        Job(source.head, source.tail, archive.profile, archive.pseudonym_key, source.facts)
    )


async def _write(
    archive: Archive, leases: Leases, image: UUID, secrets: Secrets, kind: str, data: bytes, *, followed: bool
) -> WrittenPart:
    writer = PartWriter(archive, leases, image, kind, IMAGE, secrets.image)
    await writer.write(data)
    return await writer.finish(followed=followed)
