"""Where frames lie in pixels that were stored before that was noted, or whose note was lost: found in what is stored,
and noted for all views that share them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from uuid import UUID

from cryptography.exceptions import InvalidTag

from mdm_async.catalog.holdings import blobs, generations, images, made_views, stored_parts
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.catalog.holdings.stored_views import StoredView
from mdm_async.dicom.part10 import Kind
from mdm_async.dicom.pixels import plan
from mdm_async.dicom.pixels.frame_places import FramePlaces
from mdm_async.errors import Busy, MdmError
from mdm_async.images.parts import record
from mdm_async.images.parts.leases import Leases
from mdm_async.images.parts.pixels_placed import placed_in
from mdm_async.images.parts.record import INDEX, PartRecord, Seen, ViewRecord
from mdm_async.images.parts.writer import PartWriter
from mdm_async.images.reading import stream, view
from mdm_async.images.views.workshop import Workshop
from mdm_async.keys.store import Secrets


def lacks_note(part: PartRecord, is_stored: bool) -> bool:
    """Of pixels: whether nobody looked for frames in them, or what was found is lost. `is_stored`: what was found is
    there."""
    return part.seen is None or (part.seen.index is not None and not is_stored)


@dataclass(frozen=True, slots=True, repr=False)
class _Noting:
    """Of one image, whose views' parts are these."""

    workshop: Workshop
    image: UUID
    secrets: Secrets
    rows: Mapping[UUID, Part]

    def lacks(self, part: PartRecord) -> bool:
        row = self.rows.get(part.id)
        if row is None or row.kind != Kind.PIXELS.value:
            return False
        index = part.seen.index if part.seen is not None else None
        return lacks_note(part, index is not None and index.id in self.rows)

    async def head(self, of: ViewRecord) -> bytes | None:
        """None of one that is too large, or has none of its own. Raises Damaged."""
        first = of.parts[0]
        row = self.rows.get(first.id)
        if row is None or row.kind != Kind.HEAD.value or first.size > self.workshop.limits.max_head:
            return None
        ready = view.of_part(self.image, row, first, self.secrets)
        return await stream.first_part(self.workshop.depot.blobs, ready)

    async def seen(self, head: bytes, part: PartRecord, leases: Leases) -> tuple[Seen, list[Part]] | None:
        """None of one frame, and of what nobody can look for frames in. Raises Damaged, NoSpace."""
        depot, row = self.workshop.depot, self.rows[part.id]
        places = await depot.cipher.run(partial(_places, head))
        if places is None:
            return None
        ready = view.of_part(self.image, row, part, self.secrets)
        async for piece in stream.clear(depot.blobs, ready, 0, ready.size):
            await depot.cipher.run(partial(places.feed, piece))
            if places.over:
                break
        found = await depot.cipher.run(places.found)
        if found is None:
            return Seen(places.begin), []
        secret = self.secrets.of(row.secret)
        writer = PartWriter(depot, leases, self.image, INDEX, row.secret, secret, row.variant)
        await writer.write(await depot.cipher.run(lambda: found.encoded))
        written = await writer.finish(followed=False)
        return Seen(places.begin, written.record, found.whole), [written.row]


async def note_frames(
    workshop: Workshop, image: UUID, registered: UUID, stored: Sequence[StoredView], secrets: Secrets
) -> None:
    """Of all views of an image that lack it. Raises Busy when one of them has changed meanwhile, Damaged, NoSpace."""
    views = [(one, opened) for one in stored if (opened := _opened(one, secrets)) is not None]
    database = workshop.depot.database
    async with database.acquire() as db:
        rows = await stored_parts.by_id(db, {id_ for _, opened in views for id_ in opened.ids})
    noting = _Noting(workshop, image, secrets, rows)
    lacking = [opened for _, opened in views if any(map(noting.lacks, opened.parts))]
    seen: dict[UUID, Seen] = {}
    made: list[Part] = []
    async with workshop.depot.leases() as leases:
        for opened in lacking:
            wanted = [one for one in opened.parts if noting.lacks(one) and one.id not in seen]
            head = await noting.head(opened) if wanted else None
            for part in wanted if head is not None else []:
                assert head is not None
                if (found := await noting.seen(head, part, leases)) is not None:
                    seen[part.id] = found[0]
                    made += found[1]
        if not seen:
            return
        renewed = [
            (one, *await _renewed(noting, one, opened, seen)) for one, opened in views if _has(opened, seen)
        ]
        async with database.transaction() as db:
            await images.lock(db, image)
            await generations.demand(db, image, registered)
            await blobs.settle(db, list(leases.blobs))
            if not await made_views.add_parts(db, image, made, renewed):
                raise Busy("a view of the image has just been changed", remedy="try again")
        leases.keep()


def _opened(stored: StoredView, secrets: Secrets) -> ViewRecord | None:
    """None of one that does not open, which keeps no other from being noted."""
    assert stored.record is not None
    try:
        secret = secrets.of(stored.secret)
        return record.unseal(stored.record, secret, stored.image, stored.name, stored.version)
    except InvalidTag:
        return None


def _places(head: bytes) -> FramePlaces | None:
    try:
        about, _, transfer_syntax = plan.describe(head)
    except MdmError:
        return None
    return FramePlaces.of(transfer_syntax, about)


def _has(opened: ViewRecord, seen: Mapping[UUID, Seen]) -> bool:
    return any(part.id in seen for part in (*opened.parts, *([opened.shared] if opened.shared else [])))


async def _renewed(
    noting: _Noting, stored: StoredView, opened: ViewRecord, seen: Mapping[UUID, Seen]
) -> tuple[bytes, tuple[UUID, ...]]:
    """The view's record with what was found, sealed; and the parts that it needs."""

    def noted(part: PartRecord) -> PartRecord:
        return replace(part, seen=seen[part.id]) if part.id in seen else part

    head = await noting.head(opened)

    def sealed() -> tuple[bytes, tuple[UUID, ...]]:
        parts = tuple(map(noted, opened.parts))
        placed = placed_in(head, parts) if head is not None else opened.placed
        shared = noted(opened.shared) if opened.shared is not None else None
        known = replace(opened, parts=parts, shared=shared, placed=placed)
        secret = noting.secrets.of(stored.secret)
        return record.seal(known, secret, stored.image, stored.name, stored.version), known.ids

    return await noting.workshop.depot.cipher.run(sealed)
