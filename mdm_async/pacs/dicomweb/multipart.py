"""The parts of a multipart body (RFC 2046 §5.1), cut out of a stream in constant memory.

A part that says its length has it, whatever its bytes are; of others the end is where a line is the boundary. No I/O.
"""

import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Final

from mdm_async.errors import MdmError, PeerFailed
from mdm_async.pacs.parts import Event, PartBegins, PartData, PartEnds

_MOST_HEADERS: Final = 16 << 10
_MOST_PREAMBLE: Final = 64 << 10
_MOST_EPILOGUE: Final = 64 << 10
_PADDING: Final = 1024
"""Blanks that may stand behind a boundary on its line."""
_AFTER: Final = re.compile(rb"(--)|[ \t]*\r\n")
_LENGTH: Final = re.compile(rb"\d{1,18}")


class _At(Enum):
    PREAMBLE = "before the first boundary"
    BOUNDARY = "behind a boundary"
    HEADERS = "in header fields"
    KNOWN = "in a part that says its length"
    UNKNOWN = "in a part that does not"
    EPILOGUE = "behind the last boundary"


class MultipartReader:
    """Fed with a body in chunks of any size. Raises `broken` when it is that, and when it ends too early; its detail
    says so of `whose`."""

    def __init__(
        self,
        boundary: bytes,
        whose: str = "the archive's answer",
        broken: Callable[[str], MdmError] = PeerFailed,
    ) -> None:
        self._whose, self._broken = whose, broken
        self._delimiter = b"\r\n--" + boundary
        self._real = re.compile(re.escape(self._delimiter) + rb"(?:--|[ \t]{0,%d}+\r\n)" % _PADDING)
        self._longest = len(self._delimiter) + _PADDING + 2
        # The first boundary may stand at the very beginning.
        self._buffer = bytearray(b"\r\n")
        self._at = _At.PREAMBLE
        self._left = 0
        self._in_part = False

    def feed(self, chunk: bytes) -> Iterator[Event]:
        """What the chunk completes. Take it all before the next."""
        self._buffer += chunk
        while (events := self._step()) is not None:
            yield from events

    def close(self) -> None:
        """The body has ended."""
        if self._at is not _At.EPILOGUE:
            raise self._broken(f"{self._whose} ends too early")

    def _step(self) -> list[Event] | None:
        """One step on; None when more bytes are needed."""
        match self._at:
            case _At.PREAMBLE:
                return self._to_first()
            case _At.BOUNDARY:
                return self._behind_boundary()
            case _At.HEADERS:
                return self._headers()
            case _At.KNOWN:
                return self._known()
            case _At.UNKNOWN:
                return self._unknown()
            case _At.EPILOGUE:
                if len(self._buffer) > _MOST_EPILOGUE:
                    raise self._broken(f"{self._whose} does not end")
                return None

    def _to_first(self) -> list[Event] | None:
        found = self._buffer.find(self._delimiter)
        if found < 0:
            if len(self._buffer) > _MOST_PREAMBLE:
                raise self._broken(f"{self._whose} has no parts")
            return None
        del self._buffer[: found + len(self._delimiter)]
        self._at = _At.BOUNDARY
        return []

    def _behind_boundary(self) -> list[Event] | None:
        ended = _AFTER.match(self._buffer)
        if ended is None:
            if len(self._buffer) > _PADDING:
                raise self._broken(f"a boundary in {self._whose} is broken")
            return None
        self._at = _At.EPILOGUE if ended[1] else _At.HEADERS
        # The line's end stays: a part may have no header fields.
        del self._buffer[: ended.end() - (0 if ended[1] else 2)]
        return []

    def _headers(self) -> list[Event] | None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > _MOST_HEADERS:
            if len(self._buffer) > _MOST_HEADERS:
                raise self._broken(f"a part of {self._whose} has too long header fields")
            return None
        headers = self._parsed(bytes(self._buffer[2:end]))
        del self._buffer[: end + 4]
        length = headers.get("content-length")
        if length is None:
            self._at = _At.UNKNOWN
        elif _LENGTH.fullmatch(length.encode()):
            self._at, self._left = _At.KNOWN, int(length)
        else:
            raise self._broken(f"a part of {self._whose} has a broken length")
        return [PartBegins(headers)]

    def _known(self) -> list[Event] | None:
        if self._left:
            if not self._buffer:
                return None
            data = bytes(self._buffer[: self._left])
            del self._buffer[: len(data)]
            self._left -= len(data)
            return [PartData(data)]
        if len(self._buffer) < len(self._delimiter):
            return None
        if not self._buffer.startswith(self._delimiter):
            raise self._broken(f"a part of {self._whose} is not as long as it says")
        del self._buffer[: len(self._delimiter)]
        self._at = _At.BOUNDARY
        return [PartEnds()]

    def _unknown(self) -> list[Event] | None:
        found = self._buffer.find(self._delimiter)
        # One search passes over all the bytes of the part that only look like a boundary.
        if found >= 0 and (real := self._real.search(self._buffer, found)):
            events = self._taken(real.start()) or []
            del self._buffer[: len(self._delimiter)]
            self._at = _At.BOUNDARY
            return [*events, PartEnds()]
        return self._taken(len(self._buffer) - self._longest)

    def _taken(self, size: int) -> list[Event] | None:
        if size <= 0:
            return None
        data = bytes(self._buffer[:size])
        del self._buffer[:size]
        return [PartData(data)]

    def _parsed(self, lines: bytes) -> dict[str, str]:
        headers: dict[str, str] = {}
        for line in lines.split(b"\r\n"):
            name, colon, value = line.partition(b":")
            if not line:
                continue
            if not colon:
                raise self._broken(f"a part of {self._whose} has a broken header field")
            headers[name.strip().decode("latin-1").lower()] = value.strip().decode("latin-1")
        return headers
