"""The blobs of one read, all of them open before its first byte."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

from mdm_async.blobs.store import BlobReader, BlobStore

Readers = Mapping[UUID, BlobReader]


@asynccontextmanager
async def opened(store: BlobStore, wanted: Iterable[tuple[UUID, int]]) -> AsyncIterator[Readers]:
    """Readers of these blobs, each with its size (bytes). Raises Damaged and Unavailable, before anything was read."""
    readers: dict[UUID, BlobReader] = {}
    try:
        for blob, size in wanted:
            if blob not in readers:
                readers[blob] = await store.open(blob, size)
        yield readers
    finally:
        for reader in readers.values():
            reader.close()
