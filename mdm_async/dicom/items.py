"""Items and their delimiters, of sequences and of fragments: a tag and a length of four bytes (PS3.5 §7.5, §A.4).

They have no VR in any encoding, and are never read as elements: the length of an item may spell a VR (20,300 is "LO").
Nothing follows a delimiter, whatever length some writers give it; pydicom and dcmtk do not look at it either.
"""

import struct
from typing import Final

from mdm_async.errors import Malformed

ITEM: Final = 0xFFFEE000
ITEM_END: Final = 0xFFFEE00D
SEQUENCE_END: Final = 0xFFFEE0DD
HEADER: Final = 8
"""Bytes."""

_GROUP: Final = 0xFFFE


class ItemReader:
    """Reads the headers of items and delimiters in one byte order."""

    __slots__ = ("_group", "_header", "_length", "item_end", "sequence_end")

    def __init__(self, *, big_endian: bool) -> None:
        order = ">" if big_endian else "<"
        self._header = struct.Struct(order + "HHL")
        self._length = struct.Struct(order + "L")
        self._group = struct.pack(order + "H", _GROUP)
        self.item_end, self.sequence_end = self.encoded(ITEM_END, 0), self.encoded(SEQUENCE_END, 0)
        """The delimiters, encoded."""

    def is_at(self, data: bytes | bytearray | memoryview, at: int) -> bool:
        """Whether an item or a delimiter begins here, rather than an element."""
        return data[at : at + 2] == self._group

    def header(
        self, data: bytes | bytearray | memoryview, at: int, end: int, base: int = 0
    ) -> tuple[int, int, int]:
        """(tag, value offset, length) of the item or delimiter at `at`. Raises Malformed when it is none.

        The length may be UNDEFINED, and is not checked.
        """
        if end - at < HEADER:
            raise Malformed(f"the header of an item is cut short at byte {base + at}")
        group, element, length = self._header.unpack_from(data, at)
        if group != _GROUP:
            raise Malformed(f"neither an item nor a delimiter at byte {base + at}")
        return _GROUP << 16 | element, at + HEADER, length

    def encoded(self, tag: int, length: int) -> bytes:
        """The header of an item or a delimiter."""
        return self._header.pack(_GROUP, tag & 0xFFFF, length)

    def write_length(self, data: bytearray, at: int, length: int) -> None:
        """Change the length in the header of an item whose value begins at `at`."""
        self._length.pack_into(data, at - 4, length)


LITTLE: Final = ItemReader(big_endian=False)
BIG: Final = ItemReader(big_endian=True)
