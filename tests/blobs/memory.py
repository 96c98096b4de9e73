"""A blob store in memory. It has no files, so all that it can give are chunks; their size is its own affair."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar
from uuid import UUID

from mdm_async.blobs.store import Piece, Promise, StoreId
from mdm_async.errors import Lost

T = TypeVar("T")
_CHUNK = 77_777


class MemoryBlobs:
    """As a server makes its store; where a directory would be does not matter."""

    files, on_its_way = False, 0

    def __init__(self, *_: object) -> None:
        self.blobs: dict[UUID, bytes] = {}
        self._id: StoreId | None = None

    def promise(self, payer: str) -> "_Promise":
        return _Promise()

    def create(self, blob: UUID, promise: Promise) -> "_Writer":
        return _Writer(self, blob)

    def at_hand(self, blob: UUID, size: int) -> None:
        """Nothing is: as of a store that is asked through a network."""

    async def open(self, blob: UUID, size: int) -> "_Reader":
        if len(self.blobs.get(blob, b"")) != size:
            raise Lost("a blob is missing")
        return _Reader(self.blobs[blob])

    async def delete(self, blob: UUID) -> None:
        self.blobs.pop(blob, None)

    async def listing(self) -> AsyncIterator[tuple[UUID, int]]:
        for blob, data in list(self.blobs.items()):
            yield blob, len(data)

    async def identity(self) -> StoreId | None:
        return self._id

    async def mark(self, mine: StoreId) -> None:
        self._id = mine

    async def free(self, payer: str | None = None) -> int:
        return 1 << 40

    def held(self, *, shared: bool) -> AbstractContextManager[None]:
        return nullcontext()


class _Promise:
    """There is always room."""

    async def set_aside(self, size: int) -> None:
        pass

    def writing(self, size: int) -> AbstractContextManager[None]:
        return nullcontext()

    def end(self) -> None:
        pass


class _Writer:
    def __init__(self, store: MemoryBlobs, blob: UUID) -> None:
        self._store, self._blob, self._data = store, blob, bytearray()

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        self._data += data

    async def commit(self, last: bytes | bytearray | memoryview = b"") -> None:
        self._data += last
        self._store.blobs[self._blob] = bytes(self._data)

    async def abandon(self) -> None:
        self._store.blobs.pop(self._blob, None)

    async def detach(self) -> None:
        pass


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data

    async def apply(self, offset: int, size: int, job: Callable[[memoryview], T]) -> T:
        return job(memoryview(self._data)[offset : offset + size])

    async def pieces(self, offset: int, size: int, *, files: bool) -> AsyncGenerator[Piece, None]:
        for place in range(offset, offset + size, _CHUNK):
            yield self._data[place : min(place + _CHUNK, offset + size)]

    def close(self) -> None:
        pass
