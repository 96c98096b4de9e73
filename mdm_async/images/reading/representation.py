"""What somebody may read, whole or in part, and what ends it: any face that gives out bytes gives out one of these."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol
from uuid import UUID

from mdm_async.blobs.store import BlobStore, Piece
from mdm_async.errors import Damaged
from mdm_async.images.reading import at_hand, stream
from mdm_async.images.reading.at_hand import AtHand
from mdm_async.images.reading.opened import Readers, opened
from mdm_async.images.reading.sealed import BlobSlice, SealedView
from mdm_async.images.reading.suspects import suspect
from mdm_async.images.reading.view import ReadyView
from mdm_async.names import OPAQUE

Span = tuple[int, int]
"""The bytes start ≤ i < stop."""
Pieces = Callable[[int, int], AsyncGenerator[Piece, None]]
"""Gives the bytes start ≤ i < stop, in order."""


@dataclass(eq=False, slots=True, repr=False)
class Ending:
    """Whether a read may go on: not once it was released, revoked or deleted, or is no longer watched."""

    ended: bool = False
    _cuts: list[Callable[[], None]] = field(default_factory=list)

    @property
    def running(self) -> bool:
        """Whether somebody reads now."""
        return bool(self._cuts)

    def end(self) -> None:
        self.ended = True
        for cut in self._cuts:
            cut()

    @contextmanager
    def cutting(self, cut: Callable[[], None]) -> Iterator[None]:
        """While somebody reads; `cut` ends their connection, which may wait for a reader that does not read."""
        self._cuts.append(cut)
        try:
            yield
        finally:
            self._cuts.remove(cut)


class Source(Protocol):
    """Where bytes come from."""

    @property
    def sealed(self) -> bool:
        """Encrypted for its recipient, so that it may cross a channel that anyone hears."""
        ...

    @property
    def ending(self) -> Ending: ...

    def open(self, spans: Sequence[Span], *, files: bool) -> AbstractAsyncContextManager[Pieces]:
        """All that these spans need, open; `files`: pieces may be ranges of files.

        Raises Damaged or Unavailable while nothing has been sent; so may the pieces, but seldom.
        """
        ...


class Representation(Source, Protocol):
    """Bytes that never change."""

    @property
    def size(self) -> int: ...
    @property
    def etag(self) -> str:
        """A strong entity tag, in its quotes; it tells nothing of what is in the bytes."""
        ...

    @property
    def media_type(self) -> str: ...
    @property
    def adler32(self) -> int: ...
    @property
    def plain(self) -> ReadyView | None:
        """The view whose bytes these are; None of a sealed stream, which has an ADLER32 and no other digest."""
        ...


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class ClearView:
    """A view as it is."""

    view: ReadyView
    blobs: BlobStore
    ending: Ending = field(default_factory=Ending)

    sealed = False

    @property
    def media_type(self) -> str:
        # Of what is opaque nothing is known, and no browser shall guess.
        return "application/octet-stream" if self.view.view == OPAQUE else "application/dicom"

    @property
    def size(self) -> int:
        return self.view.size

    @property
    def etag(self) -> str:
        return self.view.etag

    @property
    def adler32(self) -> int:
        return self.view.adler32

    @property
    def plain(self) -> ReadyView:
        return self.view

    @property
    def registration(self) -> UUID:
        """Of the keys that its view was opened by."""
        return self.view.registration

    @property
    def weight(self) -> int:
        """Bytes of memory that it takes."""
        return self.view.weight

    @asynccontextmanager
    async def open(self, spans: Sequence[Span], *, files: bool) -> AsyncIterator[Pieces]:
        wanted = (blob for span in spans for blob in self.view.blobs(*span))
        async with opened(self.blobs, wanted, self.view) as readers:
            yield partial(stream.decrypted, readers, self.view)

    def at_hand(self, start: int, stop: int, *, files: bool) -> AtHand | None:
        """The bytes start ≤ i < stop where nothing must be waited for; None: `open` them."""
        return at_hand.clear(self.blobs, self.view, start, stop)


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class SealedStream:
    """A view's Crypt4GH stream for one recipient."""

    stream: SealedView
    blobs: BlobStore
    ending: Ending = field(default_factory=Ending)

    media_type = "application/octet-stream"
    sealed = True
    plain = None

    @property
    def size(self) -> int:
        return self.stream.size

    @property
    def etag(self) -> str:
        return self.stream.etag

    @property
    def adler32(self) -> int:
        return self.stream.adler32

    @property
    def registration(self) -> UUID:
        """Of the keys that its view was opened by."""
        return self.stream.registration

    @property
    def weight(self) -> int:
        """Bytes of memory that it takes."""
        return sum(len(piece) for piece in self.stream.pieces if not isinstance(piece, BlobSlice))

    @asynccontextmanager
    async def open(self, spans: Sequence[Span], *, files: bool) -> AsyncIterator[Pieces]:
        wanted = (blob for span in spans for blob in self.stream.blobs(*span))
        async with opened(self.blobs, wanted, self.stream) as readers:
            yield partial(self._pieces, readers, files)

    def at_hand(self, start: int, stop: int, *, files: bool) -> AtHand | None:
        """As that of ClearView; `files`: pieces may be ranges of files."""
        return at_hand.sealed(self.blobs, self.stream, start, stop, files=files)

    async def _pieces(
        self, readers: Readers, files: bool, start: int, stop: int
    ) -> AsyncGenerator[Piece, None]:
        for piece in self.stream.slices(start, stop):
            if not isinstance(piece, BlobSlice):
                yield piece
                continue
            reader = readers[piece.blob]
            try:
                async with aclosing(reader.pieces(piece.offset, piece.size, files=files)) as stored:
                    async for one in stored:
                        yield one
            except Damaged:
                suspect(self.stream.image)
                raise
