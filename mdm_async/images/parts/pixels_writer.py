"""A part of pixels being written, and beside it where its frames begin: found in the very bytes that are stored."""

from dataclasses import replace
from functools import partial
from uuid import UUID

from mdm_async.dicom.part10 import Kind
from mdm_async.dicom.pixels.frame_places import FramePlaces
from mdm_async.images.parts.depot import Depot
from mdm_async.images.parts.leases import Leases
from mdm_async.images.parts.record import INDEX, Seen
from mdm_async.images.parts.writer import PartWriter, WrittenPart


class PixelsWriter:
    """As a `PartWriter`, of pixels. `places`: None of one frame, of which there is nothing to be found."""

    def __init__(
        self,
        depot: Depot,
        leases: Leases,
        image: UUID,
        secret_kind: str,
        secret: bytes,
        variant: str,
        places: FramePlaces | None,
    ) -> None:
        self._cipher, self._places = depot.cipher, places
        self._writer = PartWriter(depot, leases, image, Kind.PIXELS.value, secret_kind, secret, variant)
        self._index = PartWriter(depot, leases, image, INDEX, secret_kind, secret, variant)

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        await self._writer.write(data)
        if self._places is not None and not self._places.over:
            await self._cipher.run(partial(self._places.feed, data))

    async def finish(self, *, followed: bool) -> WrittenPart:
        written = await self._writer.finish(followed=followed)
        if self._places is None:
            return written
        seen, index = Seen(self._places.begin), None
        found = await self._cipher.run(self._places.found)
        if found is not None:
            await self._index.write(await self._cipher.run(lambda: found.encoded))
            part = await self._index.finish(followed=False)
            seen, index = replace(seen, index=part.record, whole=found.whole), part.row
        return replace(written, record=replace(written.record, seen=seen), index=index)
