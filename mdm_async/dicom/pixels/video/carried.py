"""Findings in an elementary stream that packets carry: told where its bytes lie in those."""

from collections import deque

from mdm_async.dicom.pixels.findings import HELD, Findings
from mdm_async.dicom.pixels.jpeg import Unrecognisable

_BACK = 64
"""Bytes of the stream that a walk may go back to overwrite something."""


class Carried(Findings):
    """Positions become those of the stream of packets."""

    def __init__(self, findings: Findings) -> None:
        super().__init__()
        self._findings = findings
        self._spans: deque[tuple[int, int, int]] = deque()
        """The latest bytes of the elementary stream: from where to where, and their place among the packets."""
        self._end = 0

    def carry(self, at: int, length: int) -> None:
        """The next bytes are `length` ones of a packet's payload, `at` bytes after the first packet's begin.

        Raises Unrecognisable where what may have to be overwritten is too far back for that.
        """
        self._spans.append((self._end, self._end + length, at))
        self._end += length
        while self._spans[0][1] <= self._end - length - _BACK:
            self._spans.popleft()
        if at + length - self._spans[0][2] > HELD // 2:
            raise Unrecognisable("a transport stream with hardly any video in it")

    def note(self, finding: str) -> None:
        self._findings.note(finding)

    def wipe(self, start: int, stop: int, by: bytes = b"") -> None:
        for begin, end, at in self._spans:
            first, last = max(start, begin), min(stop, end)
            if first < last:
                place = at + first - begin
                self._findings.wipe(place, place + last - first, by=by[first - start : last - start])
