"""Room in the cache for an image that is coming: set aside before it is asked for, and ahead of its bytes."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import UUID

from mdm_async.catalog.grants import waiting
from mdm_async.catalog.holdings import staged
from mdm_async.catalog.work import images_to_stage
from mdm_async.errors import CacheFull, CacheTooSmall, MdmError
from mdm_async.images.transfers.cache import Cache
from mdm_async.images.uninterrupted import uninterrupted

_SIGN = staged.LEASE / 5
"""Seconds between signs of life."""


@dataclass(slots=True)
class Coming:
    """An image that is coming, and the bytes that are set aside for it."""

    cache: Cache
    image: UUID
    size: int
    _said: float

    async def ahead_of(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
        """The chunks, none before it has room. Raises CacheFull."""
        received = 0
        async for chunk in chunks:
            received += len(chunk)
            if received > self.size:
                quota = self.cache.settings.quota
                await self.take(max(received, min(2 * self.size, quota or 2 * self.size)))
            elif asyncio.get_running_loop().time() - self._said > _SIGN:
                await self.take(self.size)
            yield chunk

    async def take(self, size: int) -> None:
        """So many bytes in all. Raises CacheFull; the next attempt has them set aside before it begins."""
        try:
            await self.cache.set_aside(self.image, size)
        except CacheTooSmall:
            raise
        except CacheFull:
            async with self.cache.database.acquire() as db:
                await staged.expect(db, self.image, size)
            raise
        self.size, self._said = size, asyncio.get_running_loop().time()


@asynccontextmanager
async def coming(cache: Cache, image: UUID) -> AsyncIterator[Coming]:
    """What is set aside is free again with the context's end, unless the image has come. Raises CacheFull."""
    size = await cache.first(image)
    await cache.set_aside(image, size, begins=True)
    async with cache.database.acquire() as db:
        await images_to_stage.wait_no_more(db, image)
        await waiting.begun(db, image)
    try:
        yield Coming(cache, image, size, asyncio.get_running_loop().time())
    finally:
        await uninterrupted(_give_up(cache, image))


async def _give_up(cache: Cache, image: UUID) -> None:
    """Of one that has come there is nothing set aside any more."""
    with suppress(MdmError):  # it lapses
        await cache.give_up(image)
