"""Walk run-length encoded frames (PS3.5 Annex G), undecoded: only how many bytes they become is counted."""

import struct
from itertools import pairwise
from typing import Final

from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.pulled import Pulled, Steps

AFTER_A_SEGMENT: Final = "bytes after the end of run-length encoded data"
_NO_FRAME: Final = "what is no run-length encoded frame"
_HEADER: Final = struct.Struct("<16L")


class RunLengths:
    """Walks one frame after another; each is one fragment (PS3.5 §A.4.2)."""

    def __init__(self, layout: Layout | None, findings: Findings) -> None:
        """`layout` is that of the decoded pixels."""
        self.frames = 0
        self._layout = layout
        self._findings = findings
        self._fed = 0

    def next_fragment(self, length: int) -> None:
        self.frames += 1
        self._steps = self._frame(Pulled(self._fed), length)
        next(self._steps)

    def feed(self, some: bytes) -> None:
        self._fed += len(some)
        self._steps.send(some)

    def close(self) -> None:
        """There are no more fragments."""

    def _frame(self, source: Pulled, length: int) -> Steps:
        if self._layout is None:
            self._findings.note("run-length encoded frames without their description")
        elif length < _HEADER.size:
            self._findings.note(_NO_FRAME)
        else:
            segments = self._layout.samples * self._layout.bits // 8
            count, *offsets = _HEADER.unpack((yield from source.take(_HEADER.size)))
            bounds = [*offsets[:count], length]
            ascending = all(a < b for a, b in pairwise(bounds))
            if count != segments or bounds[0] != _HEADER.size or not ascending or any(offsets[count:]):
                self._findings.note(_NO_FRAME)
            else:
                for start, stop in pairwise(bounds):
                    yield from self._segment(source, stop - start, self._layout.rows * self._layout.columns)
        while True:
            yield from source.rest()

    def _segment(self, source: Pulled, length: int, expected: int) -> Steps:
        """One byte plane (PS3.5 §G.3): literal runs and repeated bytes, then padding."""
        end = source.taken + length
        some, at, skip = b"", 0, 0
        while expected > 0 and source.taken < end:
            some = yield from source.rest(end - source.taken)
            at = skip
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
        if expected or skip > end - source.taken:
            self._findings.note("run-length encoded data of the wrong length")
            yield from source.skip(end - source.taken)
            return
        yield from source.skip(skip)
        padding = some[at:]
        self._findings.wipe(source.taken - len(padding), end)
        zeros = yield from source.skip_zeros(end - source.taken)
        if padding.strip(b"\0") or not zeros:
            self._findings.note(AFTER_A_SEGMENT)
