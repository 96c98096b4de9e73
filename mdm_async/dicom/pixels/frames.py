"""The frames of encapsulated pixels: where each begins and ends, and what offset tables say of it (PS3.5 §A.4)."""

from array import array
from itertools import pairwise
from typing import Final, Protocol

MOST: Final = 1 << 20
"""Frames whose places are kept."""
WRONG_TABLE: Final = "an offset table that is none"
NO_TABLE: Final = "fragments without an offset table"
NO_END_MARKER: Final = "a frame without its end marker"
SEVERAL_FRAGMENTS: Final = "a frame in several fragments"
"""Of a transfer syntax that wants one for each."""
NOT_TOLD_APART: Final = "frames that cannot be told apart"
WRONG_DELIMITER: Final = "a delimiter that announces a length"
WRONG_EXTENDED_TABLE: Final = "an extended offset table that is none"
REPAIRED: Final = frozenset({WRONG_TABLE, NO_TABLE, NO_END_MARKER, SEVERAL_FRAGMENTS, WRONG_DELIMITER})
"""What is right again when every frame is written as one fragment, behind a table of their offsets (`reframing`)."""

_OFFSET, _LONG_OFFSET = 4, 8
_LONGEST: Final = 0xFFFFFFF0
"""Bytes of a fragment, with what its end may lack."""


class Frames:
    """Those met so far. Positions are counted in bytes of fragments, of one after the other, without item headers."""

    def __init__(self) -> None:
        self.count = 0
        self.fragments = 0
        self.offset = 0
        """Of the item that is being looked into, from the first one after the offset table."""
        self.headless = False
        """Whether there is no item for an offset table: the first one holds a frame."""
        self.missing: dict[int, bytes] = {}
        """By the number of a frame, from 0: what it lacks at its end."""
        self._starts, self._stops, self._offsets = array("q"), array("q"), array("q")

    def begin(self, at: int) -> None:
        """A frame begins with the fragment that begins at this position."""
        self.count += 1
        if self.count <= MOST:
            self._starts.append(at)
            self._stops.append(-1)
            self._offsets.append(self.offset)

    def end(self, at: int, missing: bytes = b"") -> None:
        """The frame that has begun ends at this position."""
        if self.count <= MOST:
            self._stops[-1] = at
            if missing:
                self.missing[self.count - 1] = missing

    def bounds(self) -> list[tuple[int, int]]:
        """Begin and end of each."""
        return list(zip(self._starts, self._stops, strict=True))

    def told_apart(self, described: int | None) -> bool:
        """Whether there are as many as described, each whole, and none too long for one fragment."""
        return (
            self.count == described
            and self.count <= MOST
            and all(start < stop < start + _LONGEST for start, stop in self.bounds())
        )

    def fit(self, table: bytes) -> bool:
        """Whether this Basic Offset Table is theirs; an empty one always is."""
        return not table or _numbers(table, _OFFSET) == self._offsets

    def fit_extended(self, offsets: bytes, lengths: bytes, size: int) -> bool:
        """Whether this Extended Offset Table is theirs (PS3.3 §C.7.6.3).

        `lengths` may leave out a padding byte; `size` is that of all fragments.
        """
        sizes = _numbers(lengths, _LONG_OFFSET)
        return (
            self.fragments == self.count <= MOST
            and _numbers(offsets, _LONG_OFFSET) == self._offsets
            and sizes is not None
            and len(sizes) == self.count
            and all(
                said in (stop - start, stop - start - 1)
                for said, (start, stop) in zip(sizes, pairwise((*self._starts, size)), strict=True)
            )
        )


class FrameWalk(Protocol):
    """Looks into fragments, and tells `Frames` of the frames in them."""

    def begins(self, start: bytes) -> bool:
        """Whether these first bytes of a fragment, 12 at most, can be those of a frame and not of an offset table."""

    def next_fragment(self, length: int) -> None:
        """The bytes fed from now on are those of another fragment."""

    def feed(self, some: bytes) -> None: ...

    def close(self) -> None:
        """There are no more fragments; may be told again."""


def _numbers(table: bytes, size: int) -> "array[int] | None":
    """Unsigned little endian numbers; None when the table is not made of whole ones below 2 ** 63."""
    if len(table) % size:
        return None
    numbers = (int.from_bytes(table[at : at + size], "little") for at in range(0, len(table), size))
    try:
        return array("q", numbers)
    except OverflowError:
        return None
