"""What the rest of the house may ask of a blob store."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar
from uuid import UUID

T = TypeVar("T")
STEP: Final = 1 << 20
"""Bytes of a piece at the most."""


@dataclass(frozen=True, slots=True)
class StoreId:
    """Which store it is, and of which installation: what its id file says."""

    store: UUID
    installation: UUID


@dataclass(frozen=True, slots=True)
class FileRange:
    """Bytes of an open file, to be sent as they lie there; good until the next piece is asked for."""

    descriptor: int
    offset: int
    size: int

    def __len__(self) -> int:
        return self.size


Piece = bytes | memoryview | FileRange
"""What can be sent: bytes, or a range of a file."""


class Promise(Protocol):
    """What one upload may write: the bytes set aside for it, and beyond them what is left for all."""

    async def set_aside(self, size: int) -> None:
        """Before the upload begins; 0 when it is not known how many bytes come. Raises NoSpace."""

    def writing(self, size: int) -> AbstractContextManager[None]:
        """While so many bytes are written, for the store's own writers: it may block. Raises NoSpace when they would
        touch the reserve, or what of others' promises counts for this one's payer."""
        ...

    def end(self) -> None:
        """Give back what was not written."""


class BlobWriter(Protocol):
    """A blob being written. It counts once `commit` has returned: then it survives a power cut."""

    async def write(self, data: bytes | bytearray | memoryview) -> None: ...

    async def commit(self, last: bytes | bytearray | memoryview = b"") -> None:
        """After these bytes."""

    async def abandon(self) -> None:
        """Leave nothing behind; may follow a failed `write` or `commit`."""

    async def detach(self) -> None:
        """Let go of it; what was written stays, for the catalog to decide about."""


class BlobReader(Protocol):
    """An open blob; close it."""

    async def apply(self, offset: int, size: int, job: Callable[[memoryview], T]) -> T:
        """Read `size` bytes at `offset` and hand them to `job`: off the event loop, in one hop, unless they are
        few and in memory. `job` must not keep them: their buffer is used again.

        Raises Lost when the blob has become shorter, Unavailable when it cannot be read.
        """

    def pieces(self, offset: int, size: int, *, files: bool) -> AsyncGenerator[Piece, None]:
        """`size` bytes at `offset` to be sent, the next piece read ahead while one is.

        `files`: ranges of files may be among them. Raises as `apply` does.
        """

    def close(self) -> None: ...


class BlobAtHand(Protocol):
    """An open blob of which something is read only where no disk is waited for; close it."""

    def read(self, offset: int, into: memoryview) -> bool:
        """Fill `into`; False when that cannot be done at once."""
        ...

    def file_range(self, offset: int, size: int) -> FileRange | None:
        """These bytes, to be sent as they lie there; None when that cannot be done at once."""
        ...

    def close(self) -> None: ...


class BlobStore(Protocol):
    """Blobs by random name. Raises NoSpace and Unavailable."""

    @property
    def files(self) -> bool:
        """Whether they are files, which are sent without being held in memory."""
        ...

    @property
    def on_its_way(self) -> int:
        """Bytes of a blob being written that are in memory at the most, where they are many."""
        ...

    def promise(self, payer: str) -> Promise:
        """Of one upload's blobs; end it. `payer`: who answers for what they take; "" is the server itself."""
        ...

    def create(self, blob: UUID, promise: Promise) -> BlobWriter:
        """A new blob of an upload; nothing of it is in the store before the first `write`."""

    async def open(self, blob: UUID, size: int) -> BlobReader:
        """A blob of so many bytes, to be read. Raises Lost when it is not there or is shorter, Damaged when
        it is longer, and Unavailable when that cannot be told: without the store's id file, nothing is lost.
        """

    def at_hand(self, blob: UUID, size: int) -> BlobAtHand | None:
        """As `open`, where nothing is waited for; None: open it."""

    async def delete(self, blob: UUID) -> None:
        """Deleting what is not there is no error."""

    def listing(self) -> AsyncIterator[tuple[UUID, int]]:
        """Every blob that lies in the store, with its size in bytes, in the order of their ids."""

    async def size(self, blob: UUID) -> int | None:
        """A blob's size in bytes; None when it is not there."""

    async def identity(self) -> StoreId | None:
        """What its id file says; None when there is none. Raises UnsafeSettings when it cannot be read."""

    async def mark(self, mine: StoreId) -> None:
        """Write its id file, where there is none."""

    async def free(self, payer: str | None = None) -> int | None:
        """Bytes that this payer may be promised (None: that nobody has been) before the reserve is touched; 0 when it
        is. None when the store cannot tell."""
