"""Bytes of a representation that are to be had at once: from memory, and decrypted where they are asked for.

What is not is read as ever (`stream`, `SealedStream.open`), by jobs that are waited for.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self

from mdm_async.blobs.store import BlobAtHand, BlobStore, Piece
from mdm_async.errors import Damaged
from mdm_async.images.reading.buffers import buffer, give_back
from mdm_async.images.reading.sealed import BlobSlice, SealedView
from mdm_async.images.reading.view import ReadyView, Run

MOST: Final = 600_000
"""Bytes of a blob at the most: a slice of a CT, decrypted on the event loop in a fifth of a millisecond."""
_scratch = bytearray(MOST)
"""Ciphertext is read into it and decrypted out of it, without a wait in between."""


@dataclass(slots=True)
class AtHand:
    """Pieces in order. Their memory, and the files that ranges among them are of, are theirs until it is closed."""

    pieces: Sequence[Piece]
    files: Sequence[BlobAtHand] = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, why: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self, *, is_sent: bool = False) -> None:
        """`is_sent`: nobody looks into the memory any more, so it may be used again."""
        for each in self.files:
            each.close()
        if is_sent:
            for piece in self.pieces:
                give_back(piece)
        self.pieces = self.files = ()


def clear(blobs: BlobStore, view: ReadyView, start: int, stop: int) -> AtHand | None:
    """The view's bytes start ≤ i < stop; None when some must be waited for, or are not as they were stored."""
    pieces: list[Piece] = []
    for run in view.runs(start, stop):
        piece = _opened(blobs, run) if isinstance(run, Run) else run
        if piece is None:
            return None
        pieces.append(piece)
    return AtHand(pieces)


def _opened(blobs: BlobStore, run: Run) -> memoryview | None:
    row = run.part.row
    if row.blob is None or run.size > MOST:
        return None
    file = blobs.at_hand(row.blob, row.cipher_size)
    if file is None:
        return None
    cipher = memoryview(_scratch)[: run.size]
    try:
        return run.open(cipher) if file.read(run.offset, cipher) else None
    except Damaged:
        return None
    finally:
        file.close()


def sealed(blobs: BlobStore, stream: SealedView, start: int, stop: int, *, files: bool) -> AtHand | None:
    """As `clear`, of a sealed stream; `files`: pieces may be ranges of files."""
    pieces: list[Piece] = []
    opened: list[BlobAtHand] = []
    whole = {piece.blob: piece.size for piece in stream.pieces if isinstance(piece, BlobSlice)}
    for one in stream.slices(start, stop):
        piece: Piece | None = None
        if not isinstance(one, BlobSlice):
            piece = one
        elif one.size <= MOST and (file := blobs.at_hand(one.blob, whole[one.blob])) is not None:
            opened.append(file)
            piece = file.file_range(one.offset, one.size) if files else _read(file, one)
        if piece is None:
            AtHand((), opened).close()
            return None
        pieces.append(piece)
    return AtHand(pieces, opened)


def _read(file: BlobAtHand, wanted: BlobSlice) -> memoryview | None:
    into = buffer(wanted.size)
    return into if file.read(wanted.offset, into) else None
