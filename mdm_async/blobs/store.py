"""What the rest of the house may ask of a blob store."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol, TypeVar
from uuid import UUID

T = TypeVar("T")


class BlobWriter(Protocol):
    """A blob being written. It counts once `commit` has returned: then it survives a power cut."""

    async def write(self, data: bytes | bytearray | memoryview) -> None: ...

    async def commit(self) -> None: ...

    async def abandon(self) -> None:
        """Leave nothing behind; may follow a failed `write` or `commit`."""

    async def detach(self) -> None:
        """Let go of it; what was written stays, for the catalog to decide about."""


class BlobReader(Protocol):
    """An open blob; close it."""

    async def apply(self, offset: int, size: int, job: Callable[[memoryview], T]) -> T:
        """Read `size` bytes at `offset` and hand them to `job`: off the event loop, in one hop, unless they are
        few and in memory. `job` must not keep them: their buffer is used again.

        Raises Unavailable when the blob is shorter or gone.
        """

    async def descriptor(self) -> int:
        """A file descriptor for sendfile, valid until `close`."""

    def close(self) -> None: ...


class BlobStore(Protocol):
    """Blobs by random name. Raises NoSpace and Unavailable."""

    def create(self, blob: UUID) -> BlobWriter:
        """A new blob; nothing of it is in the store before the first `write`."""

    def open(self, blob: UUID) -> BlobReader: ...

    async def delete(self, blob: UUID) -> None:
        """Deleting what is not there is no error."""

    def listing(self) -> AsyncIterator[tuple[UUID, int]]:
        """Every blob that lies in the store, with its size in bytes."""

    async def free(self) -> int:
        """Bytes that can still be stored before the reserve is touched; 0 when it is."""
