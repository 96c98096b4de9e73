"""Where the frames of encapsulated pixels begin, found while the pixels stream by (PS3.5 §A.4).

By an offset table, when each of its numbers is the place of a fragment; else by the fragments themselves, when there
are as many as frames.
"""

from array import array
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Self

from mdm_async.dicom.elements import UNDEFINED, Buffer, encoding_of
from mdm_async.dicom.items import HEADER, ITEM, SEQUENCE_END
from mdm_async.dicom.pixels.description import EXTENDED_OFFSETS, Description
from mdm_async.dicom.pixels.frames import MOST
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.placed import PIXELS_HEADER
from mdm_async.dicom.pixels.pulled import Pulled, Steps
from mdm_async.errors import Malformed

NUMBER: Final = 8
"""Bytes of each of the numbers that are kept."""
_OFFSET: Final = 4


@dataclass(frozen=True, slots=True)
class Places:
    """Where each frame's first item is, from the beginning of the pixels' element, and where the last frame ends.

    `whole`: each frame is one fragment.
    """

    starts: Sequence[int]
    whole: bool

    @property
    def encoded(self) -> bytes:
        """Little endian numbers of `NUMBER` bytes."""
        return b"".join(one.to_bytes(NUMBER, "little") for one in self.starts)


class FramePlaces:
    """Fed the pixels' element, tag and all, in chunks of any size; keeps 8 bytes of each fragment, of a million."""

    def __init__(self, transfer_syntax: str, frames: int, extended: bytes) -> None:
        """`frames`: as many as the head describes; `extended`: the Extended Offset Table, or nothing."""
        self.begin = b""
        """The first bytes, 12 at the most."""
        self.over = False
        """Whether what comes now need not be fed."""
        self._encoding, self._frames, self._extended = encoding_of(transfer_syntax), frames, extended
        self._table, self._first, self._end = b"", 0, 0
        self._items: array[int] = array("Q")
        self._steps = self._element(Pulled())
        next(self._steps)

    @classmethod
    def of(cls, transfer_syntax: str, about: Description | None) -> Self | None:
        """None of what has one frame, or is not described, or has more than a million."""
        layout = Layout.of(about) if about is not None else None
        if about is None or layout is None or not 1 < layout.frames <= MOST:
            return None
        return cls(transfer_syntax, layout.frames, about.values.get(EXTENDED_OFFSETS, b""))

    def feed(self, some: Buffer) -> None:
        if len(self.begin) < PIXELS_HEADER:
            self.begin += bytes(some[: PIXELS_HEADER - len(self.begin)])
        if not self.over:
            try:
                self._steps.send(bytes(some))
            except StopIteration:
                self.over = True

    def found(self) -> Places | None:
        """Once all has been fed. None of native pixels, and where frames cannot be told apart so."""
        if not self._end:
            return None
        for table, size in ((self._extended, NUMBER), (self._table, _OFFSET)):
            if len(table) == size * self._frames and (starts := self._by(table, size)) is not None:
                return Places([*starts, self._end], len(self._items) == self._frames)
        return Places([*self._items, self._end], True) if len(self._items) == self._frames else None

    def _by(self, table: bytes, size: int) -> list[int] | None:
        """Where frames begin by a table, if it is right: all that it tells are fragments, from the first on."""
        numbers = (int.from_bytes(table[at : at + size], "little") for at in range(0, len(table), size))
        starts = [self._first + one for one in numbers]
        ascending = starts[0] == self._first and all(one < after for one, after in pairwise(starts))
        return starts if ascending and set(starts) <= set(self._items) else None

    def _element(self, source: Pulled) -> Steps:
        """Ends where nothing more is to be seen."""
        header = yield from source.take(8)
        if self._encoding.header_size(header, 0, PIXELS_HEADER) == PIXELS_HEADER:
            header += yield from source.take(4)
        with suppress(Malformed):
            if self._encoding.header(header, 0, len(header))[3] == UNDEFINED:
                yield from self._fragments(source)

    def _fragments(self, source: Pulled) -> Steps:
        """Raises Malformed where what follows is neither an item nor a delimiter."""
        reader = self._encoding.items
        tag, _, length = reader.header((yield from source.take(HEADER)), 0, HEADER)
        if tag != ITEM or length == UNDEFINED:
            return
        if length == _OFFSET * self._frames:
            self._table = yield from source.take(length)
        else:
            yield from source.skip(length)
        self._first = source.taken
        while len(self._items) <= MOST:
            at = source.taken
            tag, _, length = reader.header((yield from source.take(HEADER)), 0, HEADER)
            if tag == SEQUENCE_END:
                self._end = at
            if tag != ITEM or length == UNDEFINED:
                return
            self._items.append(at)
            yield from source.skip(length)
