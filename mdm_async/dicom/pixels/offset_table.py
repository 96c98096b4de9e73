"""Check that the Basic Offset Table in front of fragments is one (PS3.5 §A.4), and no place to hide something."""

from typing import Final

_LONGEST: Final = 1 << 22
"""Bytes: a million frames."""


class OffsetTable:
    """Each offset must be that of an item, in ascending order, counted from the first item after the table."""

    def __init__(self, length: int) -> None:
        """`length` is in bytes; the table may be empty."""
        self.first_item = 0
        """Where the first item begins, once that is known."""
        self._possible = length % 4 == 0 and length <= _LONGEST
        self._table = bytearray()
        self._next = 0

    @property
    def true(self) -> bool:
        """Whether every offset was that of an item; ask after the last one."""
        return self._possible and self._next == len(self._table)

    def feed(self, some: bytes) -> None:
        """Take the next bytes of the table."""
        if self._possible:
            self._table += some

    def item(self, at: int) -> None:
        """Another item begins at this position."""
        if self._possible and self._next < len(self._table):
            offset = int.from_bytes(self._table[self._next : self._next + 4], "little")
            if offset == at - self.first_item:
                self._next += 4
