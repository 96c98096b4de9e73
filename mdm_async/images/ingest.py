"""Ingest: a stream of DICOM Part 10 bytes becomes an image, its parts and its views, in constant memory.

The original's bytes are encrypted while they arrive; head and tail are kept besides (up to `scrub.max_head`) to
be scrubbed at the end. Nothing counts until `store` has run in a transaction of the caller's; until then
everything goes when the context ends.
"""

import hashlib
import zlib
from collections.abc import AsyncIterator, Iterator
from functools import partial
from itertools import islice
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from mdm_async.catalog import blobs, images
from mdm_async.catalog.database import Connection
from mdm_async.catalog.images import Part, StoredView
from mdm_async.dicom.codestream import Inspector
from mdm_async.dicom.index import identifying_values, names_reveal
from mdm_async.dicom.part10 import Kind, Piece, Splitter
from mdm_async.dicom.scrub import PixelFacts
from mdm_async.errors import Malformed, NotDicom, TooLarge, Truncated
from mdm_async.images import basic_view, record
from mdm_async.images.archive import IDENTIFIED_VERSION, Archive
from mdm_async.images.basic_view import Source
from mdm_async.images.leases import Leases
from mdm_async.images.part_writer import PartWriter
from mdm_async.images.record import ViewRecord
from mdm_async.keys.store import IDENTITY, IMAGE, new_secrets
from mdm_async.names import BASIC, IDENTIFIED

_BATCH = 8


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
        self._parts: list[Part] = []
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
            # Off the loop: a head of many thousand elements takes a second to walk.
            pieces = self._split(chunk)
            while batch := await self._archive.on_cipher_pool(partial(_some, pieces)):
                for piece in batch:
                    await self._take(piece)
                if len(batch) < _BATCH:
                    break
        if announced is not None and self.size < announced:
            raise Truncated(
                f"{self.size} bytes arrived of the announced {announced}", remedy="upload it again"
            )
        if not self.size:
            raise NotDicom("the upload is empty")
        for piece in self._splitter.close():
            self._inspect(piece)
            await self._take(piece)
        await self._make_views()

    def reveals(self, lfn: str) -> bool:
        """Whether a name holds identifiers of this very file.

        Raises TooLarge when a head larger than may be kept was cut before its identifiers.
        """
        try:
            return names_reveal(lfn, identifying_values(bytes(self._kept[Kind.HEAD])))
        except Malformed:
            if not self._overflowed:
                raise
            raise TooLarge(
                "the patient's identifiers lie behind more bytes than scrub.max_head, so the name cannot be checked",
                remedy="let the administrator raise scrub.max_head",
            ) from None

    async def store(self, db: Connection) -> None:
        """Everything of this image in the caller's transaction; `keep` once that is committed."""
        await blobs.settle(db, list(self._leases.blobs))
        await images.insert(db, self.image, self._secrets.registration, self._parts, self._views)
        await self._archive.keys.register(db, self.image, self._secrets)

    def keep(self) -> None:
        self._leases.keep()

    def _split(self, chunk: bytes) -> Iterator[Piece]:
        self.adler32 = zlib.adler32(chunk, self.adler32)
        self._sha256.update(chunk)
        for piece in self._splitter.stream(chunk):
            self._inspect(piece)
            yield piece

    def _inspect(self, piece: Piece) -> None:
        if piece.kind is Kind.PIXELS:
            if self._inspector is None:
                self._inspector = Inspector(self._splitter.transfer_syntax or "")
            self._inspector.feed(piece.data)

    async def _take(self, piece: Piece) -> None:
        kind = piece.kind
        if kind is Kind.HEAD or kind is Kind.TAIL:
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
        self._parts = [part.row for part in written.values()]
        facts = PixelFacts(
            present=Kind.PIXELS in written,
            value_length=self._splitter.pixel_value_length,
            encapsulated=self._splitter.encapsulated,
            findings=self._inspector.findings() if self._inspector else (),
        )
        order = (Kind.ORIGINAL,) if self._splitter.deflated else (Kind.HEAD, Kind.PIXELS, Kind.TAIL)
        originals = tuple(written[kind].record for kind in order if kind in written)
        pixels = written.get(Kind.PIXELS)
        shared = pixels.record if pixels is not None else None
        identified = ViewRecord(originals, self.sha256, facts, shared)
        sealed = record.seal(
            identified, self._secrets.of(IDENTITY), self.image, IDENTIFIED, IDENTIFIED_VERSION
        )
        head = None if self._overflowed else bytes(self._kept[Kind.HEAD])
        source = Source(head, tail, facts, shared)
        made = await basic_view.make(self._archive, self._leases, self.image, self._secrets, source)
        self._parts += made.parts
        self._views = [
            StoredView(self.image, IDENTIFIED, IDENTIFIED_VERSION, IDENTITY, sealed, None),
            made.view,
        ]


def _some(pieces: Iterator[Piece]) -> list[Piece]:
    """A few at a time: a deflated chunk may inflate to a thousand times its size."""
    return list(islice(pieces, _BATCH))
