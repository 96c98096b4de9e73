"""Whether what is stored of images lies in the store, before somebody is told that it is kept here."""

import asyncio
from collections.abc import Collection
from typing import Final
from uuid import UUID

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.holdings import blobs
from mdm_async.postgres.database import Database

_AT_ONCE: Final = 16


async def present(database: Database, store: BlobStore, images: Collection[UUID]) -> set[UUID]:
    """Those of these images of which no blob is missing, or of another size. Raises Unavailable."""
    async with database.acquire() as db:
        found = await blobs.of_images(db, images)
    damaged: set[UUID | None] = set()
    for start in range(0, len(found), _AT_ONCE):
        some = found[start : start + _AT_ONCE]
        sizes = await asyncio.gather(*(store.size(one.id) for one in some))
        damaged |= {one.image for one, size in zip(some, sizes, strict=True) if size != one.size}
    return set(images) - damaged
