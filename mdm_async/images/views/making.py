"""Making a de-identified view of an image: new head and tail, pixels shared or cleaned; or the reason why not."""

from collections.abc import Awaitable
from dataclasses import dataclass
from functools import partial
from uuid import UUID

import orjson

from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.catalog.holdings.stored_views import StoredView
from mdm_async.catalog.metadata.index import IndexedView
from mdm_async.dicom.attributes import attributes_of
from mdm_async.dicom.identifiers import linking_values
from mdm_async.dicom.mapping import demand_subject
from mdm_async.dicom.pixels import plan as pixel_plan
from mdm_async.dicom.pixels.description import PixelFacts
from mdm_async.dicom.pixels.plan import PixelEdits, PixelPlan
from mdm_async.dicom.scrub import Begun, Scrubbed
from mdm_async.errors import Malformed, ScrubRefused
from mdm_async.images.parts import record
from mdm_async.images.parts.leases import Leases
from mdm_async.images.parts.pixels_placed import placed_in
from mdm_async.images.parts.record import PartRecord, ViewRecord
from mdm_async.images.parts.writer import PartWriter, WrittenPart
from mdm_async.images.reading.served import Served
from mdm_async.images.views.pixels import Pixels
from mdm_async.images.views.scrub_jobs import Begin, Finish
from mdm_async.images.views.workshop import Workshop
from mdm_async.keys.store import IMAGE, Secrets


@dataclass(frozen=True, slots=True, repr=False)
class Source:
    """What views are made of. `head` is None when, with the tail, it is larger than `scrub.max_head`."""

    image: UUID
    secrets: Secrets
    head: bytes | None
    tail: bytes
    facts: PixelFacts
    pixels: Pixels | None
    issued_by: str | None
    """Who has issued its Patient ID, as of `issuer_of`."""


@dataclass(frozen=True, slots=True)
class Made:
    """The view, ready, refused or quarantined; the head and tail written for it; the pixels that it shares; what its
    bytes say.
    """

    view: StoredView
    parts: list[Part]
    pixels: UUID | None = None
    indexed: IndexedView | None = None


@dataclass(frozen=True, slots=True, repr=False)
class Maker:
    """Makes views of one profile. `bulk`: among many, on all cores."""

    workshop: Workshop
    leases: Leases
    served: Served
    released: bool = False
    """Somebody has looked at the pixels and let the view out of quarantine."""
    bulk: bool = False

    async def begin(self, head: bytes | None, issued_by: str | None) -> Begun:
        """The head's part of the work, which needs no pixels. `issued_by`: as in `Source`. Raises ScrubRefused."""
        if head is None:
            raise _too_large()
        return await self._begun(head, issued_by)

    async def make(self, source: Source, begun: Awaitable[Begun]) -> Made:
        """The view in the version now in force; refused with the reason when it cannot be made."""
        try:
            ready = await begun
            if source.head is None:  # it was too much only with the tail
                raise _too_large()
            scrubbed, plan, pixels = await self._scrubbed(source, ready)
        except ScrubRefused as refusal:
            return Made(self._refused(source.image, refusal), [])
        head = await self._write(source, "head", scrubbed.head, followed=pixels is not None)
        written, records = [head], [head.record]
        if pixels is not None:
            records.append(pixels)
        if scrubbed.tail:
            tail = await self._write(source, "tail", scrubbed.tail, followed=False)
            written.append(tail)
            records.append(tail.record)
        seal = partial(self._ready, source, scrubbed, plan, tuple(records))
        view, indexed = await self.workshop.cipher.run(seal)
        return Made(view, [part.row for part in written], pixels.id if pixels is not None else None, indexed)

    async def _begun(self, head: bytes, issued_by: str | None, edits: PixelEdits | None = None) -> Begun:
        profile, key, mapping = self.served.profile, self.served.key, self.served.mapping
        subject = None
        if profile.unmapped is not None:
            try:
                # Looked up here, so that no job carries the whole mapping.
                subject = await self.workshop.cipher.run(
                    partial(demand_subject, head, mapping, profile.unmapped, issued_by)
                )
            except Malformed as broken:
                raise ScrubRefused(f"the data set cannot be walked: {broken.detail}") from broken
        job = Begin(profile, key, head, edits, subject, issued_by)
        return await self.workshop.scrubber.run(job, bulk=self.bulk)

    async def _scrubbed(self, source: Source, begun: Begun) -> tuple[Scrubbed, PixelPlan, PartRecord | None]:
        profile = self.served.profile
        plan = pixel_plan.plan(begun.about, begun.sop_class, begun.transfer_syntax, profile).after(
            source.facts
        )
        scrubbed = await self._finish(source, begun)
        if source.pixels is None:
            return scrubbed, plan, None
        if not plan.whole:
            return scrubbed, plan, await source.pixels.under(plan)
        assert source.head is not None
        if not plan.decode:
            return scrubbed, plan, await source.pixels.defaced(plan, bulk=self.bulk)
        pixels, edits = await source.pixels.decoded(source.head, plan, bulk=self.bulk)
        begun = await self._begun(source.head, source.issued_by, edits)
        return await self._finish(source, begun), plan, pixels

    async def _finish(self, source: Source, begun: Begun) -> Scrubbed:
        profile, key = self.served.profile, self.served.key
        job = Finish(profile, key, begun, source.tail, source.facts, self.released)
        # Next to nothing without a large tail: not worth the way to another process.
        large = job.size > self.workshop.limits.in_process
        return await self.workshop.scrubber.run(job, bulk=self.bulk and large)

    def _refused(self, image: UUID, refusal: ScrubRefused) -> StoredView:
        name, version = self.served.view, self.served.version
        return StoredView(image, name, version, IMAGE, None, str(refusal), refusal.quarantined)

    def _ready(
        self, source: Source, scrubbed: Scrubbed, plan: PixelPlan, parts: tuple[PartRecord, ...]
    ) -> tuple[StoredView, IndexedView]:
        name, version, secret = self.served.view, self.served.version, source.secrets.image
        links = linking_values(scrubbed.head)
        digest = self.workshop.finder.digest
        known = ViewRecord(parts, placed=placed_in(scrubbed.head, parts))
        view = StoredView(
            source.image,
            name,
            version,
            IMAGE,
            record.seal(known, secret, source.image, name, version),
            None,
            parts=known.ids,
            pseudonyms=tuple(digest(value) for value in sorted(set(links.values()))),
            report=record.seal_report(
                orjson.dumps(
                    {
                        "study": links.get("StudyInstanceUID"),
                        "pixels": plan.variant if source.pixels is not None else None,
                        "touched": scrubbed.touched,  # orjson writes dataclasses by itself
                        "stayed": scrubbed.stayed,
                        "warnings": scrubbed.warnings,
                    }
                ),
                secret,
                source.image,
                name,
                version,
            ),
        )
        return view, IndexedView(source.image, name, version, attributes_of(scrubbed.head))

    async def _write(self, source: Source, kind: str, data: bytes, *, followed: bool) -> WrittenPart:
        writer = PartWriter(self.workshop.depot, self.leases, source.image, kind, IMAGE, source.secrets.image)
        await writer.write(data)
        return await writer.finish(followed=followed)


def _too_large() -> ScrubRefused:
    return ScrubRefused("head and tail are larger than scrub.max_head")
