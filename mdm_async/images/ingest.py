"""Ingest: a stream of DICOM Part 10 bytes becomes an image, its parts and its views, in constant memory.

The original's bytes are encrypted while they arrive; head and tail are kept besides (up to `scrub.max_head`) to
be scrubbed at the end. Nothing counts until `store` has run in a transaction of the caller's; until then
everything goes when the context ends.
"""

import hashlib
import zlib
from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from mdm_async.catalog import blobs, images
from mdm_async.catalog.database import Connection
from mdm_async.catalog.images import StoredView
from mdm_async.dicom.codestream import Inspector
from mdm_async.dicom.index import identifying_values, names_reveal
from mdm_async.dicom.part10 import Kind, Piece, Splitter
from mdm_async.dicom.scrub import PixelFacts
from mdm_async.errors import NotDicom, ScrubRefused, TooLarge, Truncated
from mdm_async.images import record
from mdm_async.images.archive import IDENTIFIED_VERSION, Archive
from mdm_async.images.leases import Leases
from mdm_async.images.part_writer import PartWriter, WrittenPart
from mdm_async.images.record import ViewRecord
from mdm_async.images.scrubbing import Job
from mdm_async.keys.store import IDENTITY, IMAGE, new_secrets
from mdm_async.names import BASIC, IDENTIFIED

_HEAD_TOO_LARGE = "the head is larger than scrub.max_head"


class Draft:
    """An image on its way in. `size`, `adler32`, `sha256` describe the bytes that arrived."""

    def __init__(self, archive: Archive) -> None:
        self.image: UUID = uuid4()
        self.size = 0
        self.adler32 = 1
        self._sha256 = hashlib.sha256()
        self._archive = archive
        self._leases = Leases(archive.database, archive.blobs, archive.settings.blobs.lease_seconds)
        self._secrets = new_secrets()
        self._splitter = Splitter()
        self._inspector: Inspector | None = None
        self._writers: dict[Kind, PartWriter] = {}
        self._kept: dict[Kind, bytearray] = {Kind.HEAD: bytearray(), Kind.TAIL: bytearray()}
        self._overflowed = False
        self._parts: list[WrittenPart] = []
        self._views: list[StoredView] = []

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def basic_state(self) -> str:
        """`ready` or `refused`: whether the image can be read de-identified."""
        return next(view.state for view in self._views if view.name == BASIC)

    async def __aenter__(self) -> Self:
        await self._leases.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leases.__aexit__(kind, error, trace)

    async def fill(self, chunks: AsyncIterator[bytes], *, limit: int, announced: int | None = None) -> None:
        """Take the whole file and make its views.

        `limit` and `announced` are bytes. Raises NotDicom (or one of its kinds), TooLarge, Truncated, NoSpace.
        """
        async for chunk in chunks:
            self.size += len(chunk)
            if self.size > limit:
                raise TooLarge(f"the upload is larger than {limit} bytes")
            if announced is not None and self.size > announced:
                raise TooLarge(
                    f"more than the announced {announced} bytes arrived", remedy="announce the true size"
                )
            self.adler32 = zlib.adler32(chunk, self.adler32)
            self._sha256.update(chunk)
            for piece in self._splitter.stream(chunk):
                await self._take(piece)
        if announced is not None and self.size < announced:
            raise Truncated(
                f"{self.size} bytes arrived of the announced {announced}", remedy="upload it again"
            )
        if not self.size:
            raise NotDicom("the upload is empty")
        for piece in self._splitter.close():
            await self._take(piece)
        await self._make_views()

    def reveals(self, lfn: str) -> bool:
        """Whether a name holds identifiers of this very file (always known: heads that are too large are cut)."""
        return names_reveal(lfn, identifying_values(bytes(self._kept[Kind.HEAD])))

    async def store(self, db: Connection) -> None:
        """Everything of this image in the caller's transaction; `keep` once that is committed."""
        await blobs.settle(db, list(self._leases.blobs))
        await images.insert(
            db, self.image, self._secrets.registration, [p.row for p in self._parts], self._views
        )
        await self._archive.keys.register(db, self.image, self._secrets)

    def keep(self) -> None:
        self._leases.keep()

    async def _take(self, piece: Piece) -> None:
        kind = piece.kind
        if kind is Kind.PIXELS:
            if self._inspector is None:
                self._inspector = Inspector(self._splitter.transfer_syntax or "")
            self._inspector.feed(piece.data)
        elif kind is not Kind.ORIGINAL:
            self._keep_for_scrubbing(kind, piece.data)
            if self._splitter.deflated:
                return  # the original holds it; what is inflated is only needed to be scrubbed
        writer = self._writers.get(kind)
        if writer is None:
            writer = self._writers[kind] = self._writer(
                kind.value, IMAGE if kind is Kind.PIXELS else IDENTITY
            )
        await writer.write(piece.data)

    def _keep_for_scrubbing(self, kind: Kind, data: bytes | memoryview) -> None:
        room = self._archive.settings.scrub.max_head - sum(map(len, self._kept.values()))
        self._overflowed |= len(data) > room
        self._kept[kind] += data[: max(room, 0)]

    def _writer(self, kind: str, secret_kind: str) -> PartWriter:
        secret = self._secrets.of(secret_kind)
        return PartWriter(self._archive, self._leases, self.image, kind, secret_kind, secret)

    async def _make_views(self) -> None:
        tail = bytes(self._kept[Kind.TAIL])
        written = {
            kind: await writer.finish(
                followed=(kind is Kind.HEAD and Kind.PIXELS in self._writers)
                or (kind is Kind.PIXELS and bool(tail))
            )
            for kind, writer in self._writers.items()
        }
        self._parts = list(written.values())
        order = (Kind.ORIGINAL,) if self._splitter.deflated else (Kind.HEAD, Kind.PIXELS, Kind.TAIL)
        originals = tuple(written[kind].record for kind in order if kind in written)
        self._add_view(IDENTIFIED, IDENTIFIED_VERSION, IDENTITY, ViewRecord(originals, self.sha256))

        version = self._archive.version(BASIC)
        assert version is not None
        try:
            basic = await self._scrubbed(written.get(Kind.PIXELS), tail)
        except ScrubRefused as refusal:
            self._views.append(StoredView(self.image, BASIC, version, IMAGE, None, str(refusal)))
        else:
            self._add_view(BASIC, version, IMAGE, ViewRecord(basic))

    async def _scrubbed(self, pixels: WrittenPart | None, tail: bytes) -> tuple[record.PartRecord, ...]:
        if self._overflowed:
            raise ScrubRefused(_HEAD_TOO_LARGE)
        facts = PixelFacts(
            present=pixels is not None,
            value_length=self._splitter.pixel_value_length,
            encapsulated=self._splitter.encapsulated,
            findings=self._inspector.findings() if self._inspector else (),
        )
        archive = self._archive
        scrubbed = await archive.scrubber.scrub(
            Job(bytes(self._kept[Kind.HEAD]), tail, archive.profile, archive.pseudonym_key, facts)
        )
        made = [await self._write_whole(Kind.HEAD, scrubbed.head, followed=pixels is not None)]
        if pixels is not None:
            made.append(pixels.record)
        if scrubbed.tail:
            made.append(await self._write_whole(Kind.TAIL, scrubbed.tail, followed=False))
        return tuple(made)

    async def _write_whole(self, kind: Kind, data: bytes, *, followed: bool) -> record.PartRecord:
        writer = self._writer(kind.value, IMAGE)
        await writer.write(data)
        part = await writer.finish(followed=followed)
        self._parts.append(part)
        return part.record

    def _add_view(self, view: str, version: str, secret_kind: str, made: ViewRecord) -> None:
        sealed = record.seal(made, self._secrets.of(secret_kind), self.image, view, version)
        self._views.append(StoredView(self.image, view, version, secret_kind, sealed, None))


async def discard(archive: Archive, gone: list[UUID]) -> None:
    """Mark images that no entry points to for destruction."""
    if gone:
        async with archive.database.transaction() as db:
            await images.doom_unreferenced(db, gone)
