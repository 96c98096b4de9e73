"""A file that is not DICOM on its way in: one part under the image's own secret, and one view of it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.holdings import opaque
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.catalog.holdings.stored_views import StoredView
from mdm_async.crypt4gh.segment import SEGMENT, padded
from mdm_async.dicom.looks import LOOKED_AT, Within
from mdm_async.errors import NotDicom
from mdm_async.images.parts import record
from mdm_async.images.parts.record import ViewRecord
from mdm_async.images.parts.writer import PartWriter, WrittenPart
from mdm_async.images.reading.served import OPAQUE_VERSION
from mdm_async.keys.store import IMAGE, Secrets
from mdm_async.names import OPAQUE
from mdm_async.postgres.database import Connection, Database


@dataclass(frozen=True, slots=True)
class OpaqueQuota:
    """Bytes that opaque files may take, in all and of one account. Small files count as a segment each."""

    total: int
    each: int

    async def left(self, database: Database, account: str) -> int:
        async with database.acquire() as db:
            return await opaque.room(db, account, self.total, self.each)

    async def charge(self, db: Connection, image: UUID, account: str, size: int) -> None:
        """Raises NoSpace."""
        await opaque.charge(db, image, account, max(padded(size), SEGMENT), self.total, self.each)


class OpaqueContent:
    """Its bytes, as they come. `left`: how many may."""

    def __init__(self, writer: PartWriter, left: int, quota: OpaqueQuota) -> None:
        self._writer, self._left, self._quota = writer, left, quota
        self._within = Within()

    def look(self, chunk: bytes) -> None:
        """Raises NotDicom when DICOM files are inside of it: what is in it would be delivered as it is."""
        self._within.feed(chunk)
        self._demand_none()

    async def write(self, chunk: bytes) -> None:
        """Raises NoSpace."""
        self._left -= len(chunk)
        if self._left < 0:
            raise opaque.no_space(self._quota.total, self._quota.each)
        await self._writer.write(chunk)

    def close(self) -> None:
        self._within.close()
        self._demand_none()

    def _demand_none(self) -> None:
        if self._within.found:
            raise NotDicom(
                "there is a DICOM file inside of this file, which is none itself",
                remedy="put the DICOM files as they are, so that they are de-identified",
            )

    async def finish(self, image: UUID, secrets: Secrets, sha256: str) -> tuple[list[Part], StoredView]:
        written: list[WrittenPart] = [await self._writer.finish(followed=False)] if self._writer.size else []
        known = ViewRecord(tuple(part.record for part in written), sha256)
        sealed = record.seal(known, secrets.of(IMAGE), image, OPAQUE, OPAQUE_VERSION)
        ids = tuple(part.row.id for part in written)
        view = StoredView(image, OPAQUE, OPAQUE_VERSION, IMAGE, sealed, None, parts=ids)
        return [part.row for part in written], view


async def beginning(chunks: AsyncIterator[bytes]) -> tuple[bytes, AsyncIterator[bytes]]:
    """Enough of a body to tell what it is, or all of it; and the body as it was."""
    first = bytearray()
    async for chunk in chunks:
        first += chunk
        if len(first) >= LOOKED_AT:
            break
    return bytes(first), _again(bytes(first), chunks)


async def _again(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    if first:
        yield first
    async for chunk in rest:
        yield chunk
