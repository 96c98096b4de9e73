"""What the walks of codestreams report: findings, and the ranges of bytes that hold them."""

from collections import deque
from typing import Final, NamedTuple

HELD: Final = 1 << 16
"""A walk reports a range before it has been sent this many bytes of fragments after the range's begin."""


class Findings:
    """What is no picture in the codestreams of one image; ranges are let pass."""

    def __init__(self) -> None:
        self.noted: dict[str, None] = {}
        """Distinct findings, without their content, in the order found."""

    def note(self, finding: str) -> None:
        self.noted[finding] = None

    def wipe(self, start: int, stop: int, by: bytes = b"") -> None:
        """Bytes from `start` up to `stop` are no picture: they can be replaced by `by` and zeros.

        Positions are those of `Pulled.taken`: bytes of fragments, of one after the other. `stop` may lie ahead.
        """

    def fragment(self, at: int, length: int) -> None:
        """The next bytes of fragments are `length` ones, `at` bytes after the pixel element's first."""

    def await_fragment(self, at: int | None) -> None:
        """What begins here may turn out to be a fragment; None when it did not."""


class _Span(NamedTuple):
    start: int
    stop: int
    at: int


class Wipes(Findings):
    """Also says where in the pixel element to overwrite what."""

    def __init__(self) -> None:
        super().__init__()
        self._spans: deque[_Span] = deque()
        """The latest bytes of fragments: from where to where, and their place in the element."""
        self._end = 0
        self._until = 0
        self._awaited: int | None = None
        self._edits: list[tuple[int, bytes]] = []

    def edits(self) -> list[tuple[int, bytes]]:
        """(place in the element, bytes to write there) of what was reported since the last call."""
        edits, self._edits = self._edits, []
        return edits

    def settled(self) -> int | None:
        """The place in the element from which on edits may still come; None when there have been no fragments."""
        for span in self._spans:
            if span.stop > self._end - HELD:
                return span.at + max(0, self._end - HELD - span.start)
        return self._awaited

    def await_fragment(self, at: int | None) -> None:
        self._awaited = at

    def fragment(self, at: int, length: int) -> None:
        self._awaited = None
        span = _Span(self._end, self._end + length, at)
        self._spans.append(span)
        self._end = span.stop
        while self._spans[0].stop <= self._end - length - HELD:
            self._spans.popleft()
        if self._until > span.start:
            self._write(span.start, min(self._until, span.stop), b"")

    def wipe(self, start: int, stop: int, by: bytes = b"") -> None:
        self._write(start, min(stop, self._end), by)
        self._until = max(self._until, stop)

    def _write(self, start: int, stop: int, by: bytes) -> None:
        for span in reversed(self._spans):
            if span.stop <= start:
                break  # there may be one for each byte
            begin, end = max(start, span.start), min(stop, span.stop)
            if begin < end:
                content = by[begin - start : end - start]
                self._edits.append(
                    (span.at + begin - span.start, content + bytes(end - begin - len(content)))
                )
