"""Ingest: a stream of DICOM Part 10 bytes becomes an image, its parts and its views, in constant memory.

The original's bytes are encrypted while they arrive; head and tail are kept besides (up to `scrub.max_head`). The
head is scrubbed, under every profile that its directory names, while the pixels stream in, and what is to be blanked
or cut of these is written beside them. Nothing counts until `store` has run in a transaction of the caller's; until
then everything goes when the context ends.
"""

import asyncio
import hashlib
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from mdm_async.catalog.holdings import blobs, generations, images, rejections
from mdm_async.catalog.holdings.rejections import Rejected
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.catalog.holdings.stored_views import StoredView
from mdm_async.catalog.metadata import blind, index, new_image
from mdm_async.catalog.metadata.blind import SealedOriginal
from mdm_async.catalog.metadata.index import IndexedView
from mdm_async.catalog.metadata.new_image import NewImage
from mdm_async.dicom.identifiers import identifying_values
from mdm_async.dicom.looks import begins_as_dicom
from mdm_async.dicom.part10 import Kind, Piece, Splitter
from mdm_async.dicom.pixels.description import PIXELS_REVISION, PixelFacts
from mdm_async.dicom.pixels.frame_places import FramePlaces
from mdm_async.dicom.pixels.plan import ORIGINAL
from mdm_async.dicom.said import Said
from mdm_async.dicom.sameness import Sameness, sameness
from mdm_async.dicom.scrub import Begun
from mdm_async.errors import Gone, Malformed, NotDicom, TooLarge, Truncated
from mdm_async.images.budget import Held
from mdm_async.images.intake.incoming import IncomingPixels
from mdm_async.images.intake.opaque import OpaqueContent, OpaqueQuota, beginning
from mdm_async.images.parts import record
from mdm_async.images.parts.fresh_secrets import FreshSecrets
from mdm_async.images.parts.pixels_placed import placed_in
from mdm_async.images.parts.pixels_writer import PixelsWriter
from mdm_async.images.parts.record import ViewRecord
from mdm_async.images.parts.writer import PartWriter, WrittenPart
from mdm_async.images.reading.served import IDENTIFIED_VERSION, Served
from mdm_async.images.views.blinding import rejected_by, sealed_original
from mdm_async.images.views.making import Maker, Source
from mdm_async.images.views.pixels import Pixels
from mdm_async.images.views.workshop import Workshop
from mdm_async.keys.store import IDENTITY, IMAGE, KeyStore, Secrets
from mdm_async.names import IDENTIFIED, OPAQUE, View
from mdm_async.postgres.database import Connection

_BATCH = 8
_Cleaned = dict[str, bytes]
"""By variant: bytes to be written beside a piece of the original pixels."""


@dataclass(frozen=True, slots=True, repr=False)
class Registered:
    """An image without its bytes, the secrets that it has, and its views that somebody let out of quarantine."""

    image: UUID
    secrets: Secrets
    released: frozenset[str] = frozenset()


class Draft:
    """An image on its way in. `size`, `adler32`, `sha256` describe the bytes that arrived."""

    def __init__(
        self,
        workshop: Workshop,
        keys: KeyStore,
        served: Sequence[Served],
        held: Held,
        *,
        force: bool = False,
        opaque: OpaqueQuota | None = None,
        registered: Registered | None = None,
        issued_by: str | None = None,
    ) -> None:
        """`held`: the memory that its head takes; its payer answers for room on the disk, too.

        `force`: somebody vouches for a file that breaks PS3.10. `opaque`: what is not DICOM is taken, too.
        `registered`: the image is there, and lacks its bytes. `issued_by`: as of `issuer_of`.
        """
        self._issued_by = issued_by
        self.image: UUID = uuid4() if registered is None else registered.image
        self.size = 0
        self.adler32 = 1
        self._sha256 = hashlib.sha256()
        self._workshop = workshop
        self._held = held
        self._leases = workshop.depot.leases(held.payer.room)
        released = registered.released if registered is not None else frozenset()
        self._makers = [Maker(workshop, self._leases, one, released=one.view in released) for one in served]
        self._behind = AsyncExitStack()
        self._begun: list[asyncio.Task[Begun]] = []
        self._fresh = FreshSecrets(workshop.depot.database, keys)
        self._registered = registered
        self._secrets = self._fresh.of(self.image) if registered is None else registered.secrets
        self._splitter = Splitter(force=force)
        self._quota = opaque
        self._opaque: OpaqueContent | None = None
        self._pixels: IncomingPixels | None = None
        self._writers: dict[Kind, PartWriter | PixelsWriter] = {}
        self._variants: dict[str, PixelsWriter] = {}
        self._kept: dict[Kind, bytearray] = {Kind.HEAD: bytearray(), Kind.TAIL: bytearray()}
        self._overflowed = False
        self._head: bytes | None = None
        self._parts: list[Part] = []
        self._views: list[StoredView] = []
        self._indexed: list[IndexedView] = []
        self._original: SealedOriginal | None = None
        self.rejected: Rejected | None = None
        """What it rejects, once it has come, if it is a rejection note."""
        self._of_pixels = hashlib.sha256()
        self._header_left: int | None = None
        self.sameness: Sameness | None = None
        """What it is compared by with others of its SOP Instance UID; None where it cannot be."""

    @property
    def found_by(self) -> Mapping[int, bytes]:
        """By tag, the keyed digest of the value that its original says; of several values one."""
        return dict(self._original.digests) if self._original is not None else {}

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def stored_size(self) -> int:
        """Bytes of ciphertext, once all has been taken."""
        return sum(part.cipher_size for part in self._parts)

    @property
    def state(self) -> str:
        """`ready` when every de-identified view is; else `refused` or `quarantined`, as the first that is not;
        `opaque` of what has none.
        """
        if self._opaque is not None:
            return "opaque"
        states = (view.state for view in self._views if view.name != IDENTIFIED)
        return next((state for state in states if state != "ready"), "ready")

    @property
    def only_view(self) -> View | None:
        """The one view that its file gives, where it is not what the directory says."""
        return OPAQUE if self._opaque is not None else None

    async def __aenter__(self) -> Self:
        await self._behind.enter_async_context(self._fresh)
        await self._behind.enter_async_context(self._leases)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._begun:
            task.cancel()
        # What they failed of has been told, or nobody wants to know any more.
        try:
            await asyncio.gather(*self._begun, return_exceptions=True)
        finally:
            await self._behind.__aexit__(kind, error, trace)

    async def fill(self, chunks: AsyncIterator[bytes], *, limit: int, announced: int | None = None) -> None:
        """Take the whole file and make its views.

        `limit` and `announced` are bytes. What is DICOM is never opaque. Raises NotDicom (or one of its kinds),
        TooLarge, Truncated, NoSpace, TooManyRequests when its head has no room in memory.
        """
        await self._leases.promise(announced or 0)
        chunks = self._bounded(chunks, limit, announced)
        if self._quota is not None:
            first, chunks = await beginning(chunks)
            if not await self._workshop.cipher.run(partial(begins_as_dicom, first)):
                await self._fill_opaque(self._quota, chunks)
                return
        async for chunk in chunks:
            # Off the loop: a head of many thousand elements takes a second to walk.
            pieces = self._split(chunk)
            while batch := await self._workshop.cipher.run(partial(_some, pieces)):
                on_its_way = min(self.size, self._workshop.depot.blobs.on_its_way)
                self._held.grow_to(sum(map(len, self._kept.values())) + on_its_way)
                for piece, cleaned in batch:
                    await self._write(piece, cleaned)
                if len(batch) < _BATCH:
                    break
        if not self.size:
            raise NotDicom("the upload is empty")
        for piece in self._splitter.close():
            await self._write(piece, self._looked_into(piece))
        await self._finish()
        if self._registered is None:
            await self._fresh.announce()

    async def _bounded(
        self, chunks: AsyncIterator[bytes], limit: int, announced: int | None
    ) -> AsyncIterator[bytes]:
        """All that arrives. Raises TooLarge, Truncated."""
        async for chunk in chunks:
            self.size += len(chunk)
            if self.size > limit:
                raise TooLarge(f"the upload is larger than {limit} bytes")
            if announced is not None and self.size > announced:
                raise TooLarge(
                    f"more than the announced {announced} bytes arrived", remedy="announce the true size"
                )
            yield chunk
        if announced is not None and self.size < announced:
            raise Truncated(
                f"{self.size} bytes arrived of the announced {announced}", remedy="upload it again"
            )

    async def _fill_opaque(self, quota: OpaqueQuota, chunks: AsyncIterator[bytes]) -> None:
        left = await quota.left(self._workshop.depot.database, self._held.payer.account)
        content = OpaqueContent(self._writer(Kind.ORIGINAL, IMAGE), left, quota)
        async for chunk in chunks:
            await self._workshop.cipher.run(partial(self._look, content, chunk))
            await content.write(chunk)
        await self._workshop.cipher.run(content.close)
        self._opaque = content
        self._parts, view = await content.finish(self.image, self._secrets, self.sha256)
        self._views = [view]
        await self._fresh.announce()

    def _look(self, content: OpaqueContent, chunk: bytes) -> None:
        self._count(chunk)
        content.look(chunk)

    @property
    def head(self) -> bytes:
        """What has come before the pixels, no more of it than `scrub.max_head`."""
        return bytes(self._kept[Kind.HEAD])

    def reveals(self, lfn: str) -> bool:
        """Whether a name holds identifiers of this very file; of one that is not DICOM nothing is known.

        Raises TooLarge when a head larger than may be kept was cut before its identifiers.
        """
        if self._opaque is not None:
            return False
        try:
            return Said.of(lfn).reveals(identifying_values(self.head))
        except Malformed:
            if not self._overflowed:
                raise
            raise TooLarge(
                "the patient's identifiers lie behind more bytes than scrub.max_head, so the name cannot be checked",
                remedy="let the administrator raise scrub.max_head",
            ) from None

    async def fill_registered(self, db: Connection) -> None:
        """Give the registered image its bytes in the caller's transaction; `keep` once that is committed.

        Raises Gone when it has gone, or has them already; Busy when its keys were changed meanwhile.
        """
        await blobs.settle(db, list(self._leases.blobs))
        await images.lock(db, self.image)
        await generations.demand(db, self.image, self._secrets.registration)
        if not await images.fill(db, self.image, self._parts, self._views):
            raise Gone("the image has its bytes already")
        await index.add(db, self._indexed)
        if self._original is not None:
            await blind.put(db, self._original)
        if self.rejected is not None:
            await rejections.put(db, self.image, self.rejected)

    async def store(self, db: Connection, owner: str) -> None:
        """Everything of this image in the caller's transaction; `keep` once that is committed.

        `owner`: of whoever brings it.
        """
        new = NewImage(
            self.image,
            self._secrets.registration,
            owner,
            list(self._leases.blobs),
            self._parts,
            self._views,
            self._indexed,
            self._original,
        )
        await new_image.insert(db, new)
        self._fresh.demand_in_time()
        if self.rejected is not None:
            await rejections.put(db, self.image, self.rejected)
        if self._opaque is not None and self._quota is not None:
            await self._quota.charge(db, self.image, owner.partition("\n")[0], self.size)

    def keep(self) -> None:
        if self._registered is None:
            self._fresh.keep([self.image])
        self._leases.keep()

    def _split(self, chunk: bytes) -> Iterator[tuple[Piece, _Cleaned]]:
        self._count(chunk)
        for piece in self._splitter.stream(chunk):
            yield piece, self._looked_into(piece)

    def _count(self, chunk: bytes) -> None:
        self.adler32 = zlib.adler32(chunk, self.adler32)
        self._sha256.update(chunk)

    def _looked_into(self, piece: Piece) -> _Cleaned:
        kind = piece.kind
        if kind is Kind.HEAD or kind is Kind.TAIL:
            room = self._workshop.limits.max_head - sum(map(len, self._kept.values()))
            self._overflowed |= len(piece.data) > room
            self._kept[kind] += piece.data[: max(room, 0)]
        if kind is not Kind.PIXELS:
            return {}
        if self._pixels is None:
            self._complete_head()
            self._pixels = IncomingPixels.begin(
                self._head, self._splitter.transfer_syntax or "", [m.served.profile for m in self._makers]
            )
        self._count_pixels(piece.data)
        return self._pixels.feed(piece.data)

    def _count_pixels(self, data: bytes | memoryview) -> None:
        """Of their value alone: what stands before it differs with the transfer syntax."""
        left = self._splitter.pixel_header if self._header_left is None else self._header_left
        skipped = min(left, len(data))
        self._header_left = left - skipped
        self._of_pixels.update(memoryview(data)[skipped:])

    def _complete_head(self) -> None:
        if self._head is None and not self._overflowed:
            self._head = bytes(self._kept[Kind.HEAD])

    async def _write(self, piece: Piece, cleaned: _Cleaned) -> None:
        kind = piece.kind
        if kind is Kind.PIXELS:
            self._begin_views()
            await self._write_variants(cleaned)
        elif kind is not Kind.ORIGINAL and self._splitter.deflated:
            return  # the original holds it; what is inflated is only needed to be scrubbed
        writer = self._writers.get(kind)
        if writer is None:
            shared = kind is Kind.PIXELS and self._shares_original
            secret_kind = IMAGE if shared else IDENTITY
            writer = self._writers[kind] = (
                self._pixels_writer(secret_kind, ORIGINAL)
                if kind is Kind.PIXELS
                else self._writer(kind, secret_kind)
            )
        await writer.write(piece.data)

    @property
    def _shares_original(self) -> bool:
        expected = self._pixels.expected if self._pixels is not None else None
        return expected is not None and expected.shares_original

    def _begin_views(self) -> None:
        """Scrub the head, from now on beside the pixels."""
        if not self._begun:
            self._begun = [
                asyncio.create_task(maker.begin(self._head, self._issued_by)) for maker in self._makers
            ]

    async def _write_variants(self, cleaned: _Cleaned) -> None:
        for variant, data in cleaned.items():
            writer = self._variants.get(variant)
            if writer is None:
                writer = self._variants[variant] = self._pixels_writer(IMAGE, variant)
            await writer.write(data)

    def _writer(self, kind: Kind, secret_kind: str) -> PartWriter:
        secret = self._secrets.of(secret_kind)
        return PartWriter(self._workshop.depot, self._leases, self.image, kind.value, secret_kind, secret)

    def _pixels_writer(self, secret_kind: str, variant: str) -> PixelsWriter:
        expected = self._pixels.expected if self._pixels is not None else None
        secret = self._secrets.of(secret_kind)
        places = FramePlaces.of(expected.transfer_syntax, expected.about) if expected is not None else None
        return PixelsWriter(
            self._workshop.depot, self._leases, self.image, secret_kind, secret, variant, places
        )

    async def _finish(self) -> None:
        self._complete_head()
        self._begin_views()
        tail = bytes(self._kept[Kind.TAIL])
        await self._workshop.cipher.run(partial(self._describe, tail))
        written = {
            kind: await writer.finish(
                followed=(kind is Kind.HEAD and Kind.PIXELS in self._writers)
                or (kind is Kind.PIXELS and bool(tail))
            )
            for kind, writer in self._writers.items()
        }
        facts = PixelFacts(
            present=Kind.PIXELS in written,
            value_length=self._splitter.pixel_value_length,
            encapsulated=self._splitter.encapsulated,
            findings=self._pixels.inspector.findings() if self._pixels else (),
        )
        pixels = await self._all_pixels(written.get(Kind.PIXELS), followed=bool(tail))
        head = None if self._overflowed else self._head
        source = Source(self.image, self._secrets, head, tail, facts, pixels, self._issued_by)
        made = [
            await maker.make(source, begun) for maker, begun in zip(self._makers, self._begun, strict=True)
        ]
        self._views = [one.view for one in made]
        self._parts = [part for one in made for part in one.parts]
        self._indexed = [one.indexed for one in made if one.indexed is not None]
        if pixels is not None:
            used = {one.pixels for one in made if one.pixels is not None}
            if pixels.original.row.secret == IMAGE and pixels.original.record.id not in used:
                await pixels.hide_original()
            self._parts += await pixels.drop_unused(used)
            written[Kind.PIXELS] = pixels.original
        self._parts += [row for part in written.values() for row in part.rows]
        identified = await self._workshop.cipher.run(partial(self._identified, written, facts))
        self._views.append(identified)
        await self._workshop.sets.announce(self._workshop.depot.database, self._indexed)

    def _compared_by(self, tail: bytes) -> Sameness | None:
        if self._head is None or self._overflowed:
            return None
        pixels = self._of_pixels.hexdigest() if self._pixels is not None else None
        try:
            return sameness(self._head, tail, pixels)
        except NotDicom:
            return None

    def _describe(self, tail: bytes) -> None:
        """What the original says: to be compared, and to be searched; and what it rejects."""
        self.sameness = self._compared_by(tail)
        head = self._head or self.head
        self._original = sealed_original(
            head, self.image, self._secrets, self._workshop.blind, self._issued_by
        )
        self.rejected = rejected_by(head, self._workshop.blind)

    async def _all_pixels(self, original: WrittenPart | None, *, followed: bool) -> Pixels | None:
        if original is None or self._pixels is None:
            return None
        for variant, rest in self._pixels.close().items():
            await self._variants[variant].write(rest)
        expected = self._pixels.expected
        made = {variant: await writer.finish(followed=followed) for variant, writer in self._variants.items()}
        return Pixels(
            self._workshop,
            self._leases,
            self.image,
            self._secrets,
            original,
            expected.about if expected is not None else None,
            self._splitter.transfer_syntax or "",
            followed,
            shared={variant: part.record for variant, part in made.items()},
            made=list(made.values()),
        )

    def _identified(self, written: dict[Kind, WrittenPart], facts: PixelFacts) -> StoredView:
        order = (Kind.ORIGINAL,) if self._splitter.deflated else (Kind.HEAD, Kind.PIXELS, Kind.TAIL)
        originals = tuple(written[kind].record for kind in order if kind in written)
        pixels = written.get(Kind.PIXELS)
        shared = pixels.record if pixels is not None else None
        known = ViewRecord(
            originals,
            self.sha256,
            pixels=facts,
            pixels_revision=PIXELS_REVISION,
            shared=shared,
            sameness=self.sameness,
            placed=placed_in(self._head, originals) if self._head is not None else None,
            issued_by=self._issued_by,
        )
        secret = self._secrets.of(IDENTITY)
        sealed = record.seal(known, secret, self.image, IDENTIFIED, IDENTIFIED_VERSION)
        return StoredView(self.image, IDENTIFIED, IDENTIFIED_VERSION, IDENTITY, sealed, None, parts=known.ids)


def _some(pieces: Iterator[tuple[Piece, _Cleaned]]) -> list[tuple[Piece, _Cleaned]]:
    """A few at a time: a deflated chunk may inflate to a thousand times its size."""
    return list(islice(pieces, _BATCH))
