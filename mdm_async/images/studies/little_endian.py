"""Values that are stored in big endian words, little endian on their way."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from mdm_async.blobs.store import FileRange, Piece
from mdm_async.dicom.byte_order import swapped
from mdm_async.images.reading.representation import Ending, Pieces, Source, Span


def in_little(source: Source, value: Span, word: int) -> Source:
    """What a value is read of. `word`: bytes of its big endian words, 1 where it has none."""
    return _LittleEndian(source, value, word) if word > 1 else source


@dataclass(frozen=True, eq=False, slots=True, repr=False)
class _LittleEndian:
    """A source in which one value of such words, and nothing else, is read."""

    source: Source
    value: Span
    word: int
    """Bytes."""

    @property
    def sealed(self) -> bool:
        return self.source.sealed

    @property
    def ending(self) -> Ending:
        return self.source.ending

    @asynccontextmanager
    async def open(self, spans: Sequence[Span], *, files: bool) -> AsyncIterator[Pieces]:
        async with self.source.open([self._whole(*span) for span in spans], files=False) as pieces:

            def turned(start: int, stop: int) -> AsyncGenerator[Piece, None]:
                return self._turned(pieces, start, stop)

            yield turned

    def _whole(self, start: int, stop: int) -> Span:
        """The words that these bytes lie in."""
        begin, end = self.value
        return start - (start - begin) % self.word, min(end, stop + (begin - stop) % self.word)

    async def _turned(self, pieces: Pieces, start: int, stop: int) -> AsyncGenerator[Piece, None]:
        at, last = self._whole(start, stop)
        left = b""
        async with aclosing(pieces(at, last)) as each:
            async for piece in each:
                assert not isinstance(piece, FileRange)
                data = left + bytes(piece) if left else piece
                size = len(data) if at + len(data) == last else len(data) // self.word * self.word
                left = bytes(data[size:])
                words = memoryview(swapped(data[:size], self.word))
                yield words[max(0, start - at) : stop - at]
                at += size
