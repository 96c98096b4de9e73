"""The blobs of one read, all of them open before its first byte."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Final, Protocol
from uuid import UUID

from mdm_async.blobs.store import BlobReader, BlobStore
from mdm_async.errors import Damaged, Lost, LostHere
from mdm_async.images.reading.suspects import suspect

Readers = Mapping[UUID, BlobReader]
_SOON: Final = 5
"""Seconds."""


class Stored(Protocol):
    """What is read."""

    @property
    def image(self) -> UUID: ...
    @property
    def elsewhere(self) -> bool:
        """Were its blobs lost here, they would be had again."""
        ...


@asynccontextmanager
async def opened(
    store: BlobStore, wanted: Iterable[tuple[UUID, int]], of: Stored | None = None
) -> AsyncIterator[Readers]:
    """Readers of these blobs, each with its size (bytes). Raises Lost, Damaged and Unavailable, before anything was
    read. `of`: whose image is suspect then; LostHere when it is had elsewhere."""
    readers: dict[UUID, BlobReader] = {}
    try:
        for blob, size in wanted:
            if blob in readers:
                continue
            try:
                readers[blob] = await store.open(blob, size)
            except Damaged as why:
                if of is not None:
                    suspect(of.image)
                    if isinstance(why, Lost) and of.elsewhere:
                        raise LostHere(remedy="ask again", retry_after=_SOON) from why
                raise
        yield readers
    finally:
        for reader in readers.values():
            reader.close()
