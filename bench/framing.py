"""Where an answer's body ends (RFC 9112 §6.3): after a length, after the last chunk, or with the connection."""

from collections.abc import Iterator
from typing import Protocol

_LONGEST_LINE = 64


class BadFraming(Exception):
    """More bytes than were announced, or chunks that are none."""


class Framing(Protocol):
    done: bool

    def feed(self, data: memoryview) -> Iterator[memoryview]:
        """The body's bytes among these. Raises BadFraming."""


class OfLength:
    def __init__(self, length: int) -> None:
        self._left = length
        self.done = not length

    def feed(self, data: memoryview) -> Iterator[memoryview]:
        self._left -= len(data)
        if self._left < 0:
            raise BadFraming("more bytes than announced")
        self.done = not self._left
        yield data


class UntilClosed:
    done = False

    def feed(self, data: memoryview) -> Iterator[memoryview]:
        yield data


class Chunked:
    """Without trailers, which nobody here sends."""

    def __init__(self) -> None:
        self.done = False
        self._line = bytearray()
        self._left = 0
        """Bytes of the chunk, with the line's end behind it."""
        self._last = False

    def feed(self, data: memoryview) -> Iterator[memoryview]:
        while data:
            if self.done:
                raise BadFraming("bytes behind the last chunk")
            if self._left:
                value = data[: max(0, min(len(data), self._left - 2))]
                taken = min(len(data), self._left)
                self._left -= taken
                data = data[taken:]
                self.done = self._last and not self._left
                yield value
                continue
            end = bytes(data[:_LONGEST_LINE]).find(b"\n") + 1
            self._line += data[: end or len(data)]
            data = data[end or len(data) :]
            if len(self._line) > _LONGEST_LINE:
                raise BadFraming("a chunk without a size")
            if end:
                size = int(self._line, 16)
                self._last, self._left = not size, size + 2
                self._line.clear()
