"""The blobs of one read, all of them open before its first byte."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

from mdm_async.blobs.store import BlobReader, BlobStore
from mdm_async.errors import Damaged
from mdm_async.images.reading.suspects import suspect

Readers = Mapping[UUID, BlobReader]


@asynccontextmanager
async def opened(
    store: BlobStore, wanted: Iterable[tuple[UUID, int]], image: UUID | None = None
) -> AsyncIterator[Readers]:
    """Readers of these blobs, each with its size (bytes). Raises Damaged and Unavailable, before anything was read;
    `image` is suspect then."""
    readers: dict[UUID, BlobReader] = {}
    try:
        for blob, size in wanted:
            if blob in readers:
                continue
            try:
                readers[blob] = await store.open(blob, size)
            except Damaged:
                if image is not None:
                    suspect(image)
                raise
        yield readers
    finally:
        for reader in readers.values():
            reader.close()
