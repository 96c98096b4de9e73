"""Walk frames that are encapsulated as they are, or each deflated by itself (PS3.5 §A.4.11, §A.4.12)."""

import zlib
from typing import Final

from mdm_async.dicom.pixels import mask as pixel_mask
from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.frames import SEVERAL_FRAGMENTS, Frames
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.mask import UNUSED_BITS, UnusedBits
from mdm_async.dicom.pixels.pulled import Count, Pulled, Steps

UNCOMPRESSED: Final = "1.2.840.10008.1.2.1.98"
DEFLATED_FRAMES: Final = "1.2.840.10008.1.2.8.1"
AFTER_A_FRAME: Final = "bytes after the end of a frame"
_WRONG_SIZE: Final = "a frame that is not of the size described"
_STEP: Final = 1 << 16
"""Bytes of one inflated piece at most."""


class PlainFrames:
    """Each is one fragment; deflated ones may be several."""

    def __init__(self, layout: Layout | None, frames: Frames, findings: Findings, *, deflated: bool) -> None:
        self._layout = layout
        self._frames = frames
        self._findings = findings
        self._deflated = deflated
        self._fed = 0
        self._ended = True
        self._zeros = True
        """Whether there were but zeros after the frame so far."""
        self._unused = None
        if layout and layout.stored < layout.bits:
            if why := pixel_mask.obstacle(layout):
                findings.note(f"bits that are not the picture's: {why}")
            else:
                self._unused = UnusedBits(layout)

    def begins(self, start: bytes) -> bool:
        """Not known: samples may be any bytes."""
        return False

    def next_fragment(self, length: int) -> None:
        if self._ended:
            self._frames.begin(self._fed)
            self._ended = False
            self._steps = self._frame(Pulled(self._fed))
            next(self._steps)
        else:
            # Only a deflated frame says itself where it ends.
            self._findings.note(SEVERAL_FRAGMENTS if self._deflated else _WRONG_SIZE)

    def feed(self, some: bytes) -> None:
        self._fed += len(some)
        self._steps.send(some)

    def close(self) -> None:
        if not self._ended:
            self._findings.note(_WRONG_SIZE)

    def _frame(self, source: Pulled) -> Steps:
        if self._layout is None:
            self._findings.note("encapsulated frames without their description")
            while True:
                yield from source.rest()
        size = self._layout.frame_size
        end = yield from self._inflated(source, size) if self._deflated else self._samples(source, size)
        self._frames.end(end)
        self._ended = True
        while True:
            self._findings.wipe(end, source.taken)
            if not self._zeros:
                self._findings.note(AFTER_A_FRAME)
            end = source.taken
            self._zeros = not (yield from source.rest()).strip(b"\0")

    def _samples(self, source: Pulled, size: int) -> Count:
        self._zeros = True
        last = b""
        while size:
            last = yield from source.rest(size)
            size -= len(last)
            self._look_at(last)
        spare = self._layout.spare_bits if self._layout else 0
        if spare and last and last[-1] >> 8 - spare:
            self._findings.wipe(source.taken - 1, source.taken, by=bytes([last[-1] & 0xFF >> spare]))
            self._findings.note(AFTER_A_FRAME)
        return source.taken

    def _inflated(self, source: Pulled, size: int) -> Count:
        """The place after a raw stream (RFC 1951); no more is inflated of it than a frame has."""
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        last = b""
        while not inflater.eof:
            data = yield from source.rest()
            more = True
            while more and not inflater.eof:
                try:
                    some = inflater.decompress(data, _STEP)
                except zlib.error:
                    return (yield from self._lost(source, "a deflated frame that does not inflate"))
                size -= len(some)
                last = some or last
                if size < 0:
                    return (yield from self._lost(source, _WRONG_SIZE))
                self._look_at(some)
                data = inflater.unconsumed_tail
                # A full piece may not be all that came of what has been consumed.
                more = bool(data) or len(some) == _STEP
        spare = self._layout.spare_bits if self._layout else 0
        if size or (spare and last[-1] >> 8 - spare):
            return (yield from self._lost(source, _WRONG_SIZE))
        self._zeros = not inflater.unused_data.strip(b"\0")
        return source.taken - len(inflater.unused_data)

    def _look_at(self, samples: bytes) -> None:
        if self._unused and not self._unused.found:
            self._unused.feed(samples)
            if self._unused.found:
                self._findings.note(UNUSED_BITS)

    def _lost(self, source: Pulled, finding: str) -> Count:
        """Where the next frame begins cannot be told any more."""
        self._findings.note(finding)
        while True:
            yield from source.rest()
