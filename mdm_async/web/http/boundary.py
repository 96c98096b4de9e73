"""Where on a connection one request ends and the next begins, as far as that can be told without a parser."""

import re

from aiohttp.http_parser import RawRequestMessage

_END = b"\r\n\r\n"
_BEGINS = re.compile(rb"[A-Z]+ /")


class Boundary:
    """Follows what comes. Once it has lost track it never finds it again."""

    __slots__ = ("_due", "_lost")

    def __init__(self) -> None:
        self._due = 0
        """Bytes of a body that are still to come."""
        self._lost = False

    @property
    def is_here(self) -> bool:
        """Whether all that came was whole requests, so that what comes next begins another one."""
        return not (self._lost or self._due)

    def came(self, data: bytes, requests: int, message: RawRequestMessage | None) -> None:
        """The parser was given this. `requests`: how many it found to begin in it, which of them `message` is the last;
        None: what came was no request."""
        if not data or self._lost:
            return
        if self._due:
            self._due -= len(data)
        elif requests == 1 and message is not None and _BEGINS.match(data) and _is_framed(message):
            self._due = data.index(_END) + len(_END) + _length(message) - len(data) if _END in data else -1
        else:
            self._due = -1
        self._lost = self._due < 0


def _is_framed(message: RawRequestMessage) -> bool:
    """By its Content-Length, or it has no body."""
    return not (message.upgrade or message.chunked) and "Transfer-Encoding" not in message.headers


def _length(message: RawRequestMessage) -> int:
    return int(message.headers.get("Content-Length", "0"))
