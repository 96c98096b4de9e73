"""Walk run-length encoded frames (PS3.5 Annex G), undecoded: only how many bytes they become is counted."""

import struct
from collections.abc import Generator
from itertools import pairwise
from typing import Final

from mdm_async.dicom.pixels import mask as pixel_mask
from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.frames import SEVERAL_FRAGMENTS, Frames
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.mask import UNUSED_BITS, UnusedBits
from mdm_async.dicom.pixels.pulled import Pulled, Steps

AFTER_A_SEGMENT: Final = "bytes after the end of run-length encoded data"
_WRONG_LENGTH: Final = "run-length encoded data of the wrong length"
_NO_FRAME: Final = "what is no run-length encoded frame"
_HEADER: Final = struct.Struct("<16L")
Runs = Generator[None, bytes, tuple[int, int, bytes]]


class RunLengths:
    """Walks one frame after another; each should be one fragment (PS3.5 §A.4.2), and may be several."""

    def __init__(self, layout: Layout | None, frames: Frames, findings: Findings) -> None:
        """`layout` is that of the decoded pixels."""
        self._layout = layout
        self._frames = frames
        self._findings = findings
        self._segments = layout.samples * layout.bits // 8 if layout else 0
        self._unused: UnusedBits | None = None
        """None where there are no unused bits, or they have been found."""
        self._plane = 0
        """Of bytes, that is being walked; the most significant ones of a sample come first."""
        if layout and layout.stored < layout.bits:
            if why := pixel_mask.obstacle(layout):
                findings.note(f"bits that are not the picture's: {why}")
            else:
                self._unused = UnusedBits(layout)
        self._fed = 0
        self._ended = True
        self._start: bytes | None = None
        """The first bytes of a fragment, gathered where they tell whether it begins a frame."""
        self._tell = 0
        """How many of them tell."""

    def begins(self, start: bytes) -> bool:
        return len(start) >= 8 and 0 < start[0] < 16 and start[1:8] == b"\0\0\0\x40\0\0\0"

    def next_fragment(self, length: int) -> None:
        """It begins another frame if the last one has ended or this has a header, and goes on with that if not."""
        if self._ended:
            self._begin(length)
        else:
            self._start, self._tell = b"", min(length, _HEADER.size)

    def feed(self, some: bytes) -> None:
        if self._start is not None:
            some, self._start = self._start + some, None
            if len(some) < self._tell:
                self._start = some
                return
            if self._tell == _HEADER.size and self._bounds(some[: _HEADER.size]):
                self._findings.note(_WRONG_LENGTH)
                self._frames.end(self._fed)
                self._begin(_HEADER.size)
            else:
                self._findings.note(SEVERAL_FRAGMENTS)
        self._fed += len(some)
        self._steps.send(some)

    def close(self) -> None:
        if not self._ended:
            self._findings.note(_WRONG_LENGTH)

    def _begin(self, length: int) -> None:
        """A frame whose first fragment is so long."""
        self._frames.begin(self._fed)
        self._ended = False
        self._steps = self._frame(Pulled(self._fed), length)
        next(self._steps)

    def _frame(self, source: Pulled, length: int) -> Steps:
        if self._layout is None:
            self._findings.note("run-length encoded frames without their description")
        elif length < _HEADER.size or not (bounds := self._bounds((yield from source.take(_HEADER.size)))):
            self._findings.note(_NO_FRAME)
        else:
            expected = self._layout.rows * self._layout.columns
            self._plane = self._segments
            for start, stop in pairwise(bounds):
                self._plane -= 1
                yield from self._segment(source, stop - start, expected)
            self._plane -= 1
            yield from self._last_segment(source, expected)
        self._ended = True
        while True:
            yield from source.rest()

    def _bounds(self, header: bytes) -> list[int]:
        """Where the segments begin; nothing when it is no header of a frame."""
        count, *offsets = _HEADER.unpack(header)
        bounds: list[int] = offsets[:count]
        ascending = all(a < b for a, b in pairwise(bounds))
        fits = count == self._segments == len(bounds) and bounds[:1] == [_HEADER.size]
        return bounds if fits and ascending and not any(offsets[count:]) else []

    def _last_segment(self, source: Pulled, expected: int) -> Steps:
        """It goes on until the frame is whole, and padding up to the end of the fragment."""
        left, skip, padding = yield from self._runs(source, None, expected)
        if left:
            self._findings.note(_WRONG_LENGTH)
            return
        yield from self._rest_of_run(source, skip)
        self._ended = True
        self._frames.end(source.taken - len(padding))
        while True:
            self._findings.wipe(source.taken - len(padding), source.taken)
            if padding.strip(b"\0"):
                self._findings.note(AFTER_A_SEGMENT)
            padding = yield from source.rest()

    def _segment(self, source: Pulled, length: int, expected: int) -> Steps:
        """One byte plane (PS3.5 §G.3), and padding up to the next one."""
        end = source.taken + length
        left, skip, padding = yield from self._runs(source, end, expected)
        if left or skip > end - source.taken:
            self._findings.note(_WRONG_LENGTH)
            yield from source.skip(end - source.taken)
            return
        yield from self._rest_of_run(source, skip)
        self._findings.wipe(source.taken - len(padding), end)
        zeros = yield from source.skip_zeros(end - source.taken)
        if padding.strip(b"\0") or not zeros:
            self._findings.note(AFTER_A_SEGMENT)

    def _rest_of_run(self, source: Pulled, count: int) -> Steps:
        rest = yield from source.take(count)
        if (byte := self._byte_looked_at()) is not None:
            self._look_at(byte, rest)

    def _byte_looked_at(self) -> int | None:
        """The byte of samples whose plane is being walked, if there are unused bits in it."""
        if self._unused is None or self._layout is None:
            return None
        byte = self._plane % (self._layout.bits // 8)
        return byte if self._unused.looks_at(byte) else None

    def _look(self, byte: int, some: bytes, at: int, expected: int) -> None:
        """Look at the unused bits in runs, the first of which begins at `at`; what is left of one comes before it."""
        values = [some[:at]]
        while expected > 0 and at < len(some):
            code = some[at]
            if code < 128:
                values.append(some[at + 1 : at + code + 2])
                expected -= code + 1
                at += code + 2
            else:
                if code > 128:
                    values.append(some[at + 1 : at + 2])
                    expected -= 257 - code
                    at += 1
                at += 1
        self._look_at(byte, b"".join(values))

    def _look_at(self, byte: int, values: bytes) -> None:
        if self._unused:
            self._unused.feed_some(byte, values)
            if self._unused.found:
                self._findings.note(UNUSED_BITS)
                self._unused = None

    def _runs(self, source: Pulled, end: int | None, expected: int) -> Runs:
        """Literal runs and repeated bytes, until they are as many as expected.

        (how many are missing, what of the last run is still to come, what has been read after it).
        """
        some, at, skip = b"", 0, 0
        looked_at = self._byte_looked_at()
        while expected > 0 and (end is None or source.taken < end):
            some = yield from source.rest(None if end is None else end - source.taken)
            at = skip
            if looked_at is not None:
                self._look(looked_at, some, skip, expected)
            while expected > 0 and at < len(some):
                code = some[at]
                if code < 128:
                    expected -= code + 1
                    at += code + 2
                elif code > 128:
                    expected -= 257 - code
                    at += 2
                else:
                    at += 1
            skip = max(0, at - len(some))
        return expected, skip, some[at:]
