"""Lengths that a JPEG 2000 codestream announces, so that a decoder finds its way: they must be true.

ISO 15444-1 §A.7.1 (TLM: tile-parts) and §A.7.3 (PLT: packets). Decoders can do without, but not with zeros.
"""

import struct
from hashlib import sha256
from typing import Final

from mdm_async.dicom.pixels.pulled import Pulled, Steps

_ENTRY: Final = struct.Struct(">HQ")


class Pointers:
    """Those of one codestream; compared by digest, since there may be many."""

    def __init__(self) -> None:
        self._true = True
        self._announced, self._met = sha256(), sha256()
        self._entries = self._lists_of_tile_parts = 0
        self._packets = self._lists_of_packets = 0

    @property
    def true(self) -> bool:
        """Whether all that was announced came; ask after the last tile-part."""
        listed = self._lists_of_tile_parts > 0
        return self._true and not (listed and self._announced.digest() != self._met.digest())

    def tile_parts(self, source: Pulled, length: int) -> Steps:
        """Read a TLM segment, of `length` bytes after its length field."""
        end = source.taken + length
        index, sizes = (yield from source.take(2)) if length >= 2 else (-1, 0)
        tile_size, length_size = sizes >> 4 & 3, 4 if sizes & 0x40 else 2
        if index != self._lists_of_tile_parts or sizes & 0x8F or tile_size == 3:
            self._true = False
        self._lists_of_tile_parts += 1
        while self._true and end - source.taken >= tile_size + length_size:
            # Without their numbers, tiles are in order and have one part each.
            tile = int.from_bytes((yield from source.take(tile_size)), "big") if tile_size else self._entries
            announced = int.from_bytes((yield from source.take(length_size)), "big")
            self._announced.update(_ENTRY.pack(tile, announced))
            self._entries += 1
        yield from self._no_more(source, end)

    def packets(self, source: Pulled, length: int) -> Steps:
        """Read a PLT segment: numbers in groups of seven bits, the high bit set in all but the last."""
        end = source.taken + length
        index = (yield from source.take(1))[0] if length else -1
        if index != self._lists_of_packets % 256:
            self._true = False
        self._lists_of_packets += 1
        number = 0
        while source.taken < end:
            for byte in (yield from source.rest(end - source.taken)):
                number = (number << 7 | byte & 0x7F) & 0xFFFFFFFF
                if byte < 0x80:
                    self._packets += number
                    number = 0
        if number:
            self._true = False

    def tile_part(self, tile: int, length: int, packets: int) -> None:
        """One has ended: how long it was, and the packets in it."""
        self._met.update(_ENTRY.pack(tile, length))
        if self._lists_of_packets and self._packets != packets:
            self._true = False
        self._packets = self._lists_of_packets = 0

    def _no_more(self, source: Pulled, end: int) -> Steps:
        if source.taken != end:
            self._true = False
        yield from source.skip(end - source.taken)
