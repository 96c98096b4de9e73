"""Write encapsulated pixels anew: every frame as one fragment, behind the table of their offsets (PS3.5 §A.4)."""

import struct
from typing import Final

from mdm_async.dicom.elements import Buffer, Encoding
from mdm_async.dicom.items import HEADER, ITEM, SEQUENCE_END
from mdm_async.dicom.pixels.frames import Frames
from mdm_async.dicom.pixels.pulled import Pulled, Steps

_LONGEST_OFFSET: Final = 0xFFFFFFFF


class Reframer:
    """Fed the PIXELS pieces that `frames` were found in; gives the same frames, in the right form."""

    def __init__(self, frames: Frames, encoding: Encoding) -> None:
        """The frames are told apart."""
        self._frames = frames
        self._encoding = encoding
        self._out = bytearray()
        self._steps = self._element(Pulled())
        next(self._steps)

    def feed(self, some: Buffer) -> bytes:
        self._steps.send(bytes(some))
        out, self._out = bytes(self._out), bytearray()
        return out

    def _element(self, source: Pulled) -> Steps:
        header = yield from source.take(8)
        if self._encoding.header_size(header, 0, 12) == 12:
            header += yield from source.take(4)
        self._out += header
        yield from self._fragments(source)
        while True:
            yield from source.rest()

    def _fragments(self, source: Pulled) -> Steps:
        reader, bounds = self._encoding.items, self._frames.bounds()
        self._write_table(bounds)
        at = number = 0
        """Of bytes of fragments; of the frame that is being written."""
        table = not self._frames.headless
        while True:
            tag, _, length = reader.header((yield from source.take(HEADER)), 0, HEADER)
            if tag != ITEM:
                self._out += reader.encoded(SEQUENCE_END, 0)
                return
            if table:
                yield from source.skip(length)
                table = False
                continue
            while length:
                some = yield from source.rest(length)
                length -= len(some)
                at, begin = at + len(some), at
                while number < len(bounds) and bounds[number][0] < at:
                    start, stop = bounds[number]
                    if begin <= start:
                        self._out += reader.encoded(ITEM, self._size(number, start, stop))
                    self._out += some[max(0, start - begin) : max(0, stop - begin)]
                    if stop > at:
                        break
                    missing = self._frames.missing.get(number, b"")
                    self._out += missing + bytes((stop - start + len(missing)) % 2)
                    number += 1

    def _size(self, number: int, start: int, stop: int) -> int:
        """Bytes of a frame's item."""
        size = stop - start + len(self._frames.missing.get(number, b""))
        return size + size % 2

    def _write_table(self, bounds: list[tuple[int, int]]) -> None:
        offsets, offset = [], 0
        for number, (start, stop) in enumerate(bounds):
            offsets.append(offset)
            offset += HEADER + self._size(number, start, stop)
        if offsets and offsets[-1] > _LONGEST_OFFSET:
            offsets = []
        self._out += self._encoding.items.encoded(ITEM, 4 * len(offsets))
        self._out += struct.pack(f"<{len(offsets)}L", *offsets)
