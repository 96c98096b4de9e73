"""One HTTP/1.1 connection that costs its process as little as can be: an answer's body is summed, never kept."""

import asyncio
import re
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self, cast

_RECEIVE = 512 << 10
_KEPT = 64 << 10
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class WrongAnswer(Exception):
    """An answer that is not what it must be."""


@dataclass(slots=True)
class Answer:
    """A whole answer. Times are of `perf_counter`."""

    status: int
    size: int
    """Bytes of its body."""
    adler32: int
    """Of the body's last `tail` bytes."""
    text: bytes
    """The body's beginning."""
    began: float
    first: float
    """When the first byte came."""
    last: float


class Connection(asyncio.BufferedProtocol):
    """Takes one answer at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray(_RECEIVE)
        self._view = memoryview(self._buffer)
        self._writable = asyncio.Event()
        self._writable.set()
        self._answer: asyncio.Future[Answer] | None = None
        self._begin(0)

    @classmethod
    async def open(cls, host: str, port: int, source: str | None = None) -> Self:
        """`source`: the address that it comes from."""
        own = None if source is None else (source, 0)
        _, connection = await asyncio.get_running_loop().create_connection(cls, host, port, local_addr=own)
        return connection

    async def ask(self, request: bytes, body: Iterable[bytes] = (), tail: int | None = None) -> Answer:
        """Send a request, then its body; `tail`: how many of the answer's last bytes to sum (None: all).

        Raises WrongAnswer when the connection breaks.
        """
        assert self._transport is not None
        self._begin(tail)
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._transport.write(request)
        for chunk in body:
            if answer.done():
                break
            self._transport.write(chunk)
            await self._writable.wait()
        return await answer

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _begin(self, tail: int | None) -> None:
        self._head = bytearray()
        self._status = self._size = self._got = self._skip = 0
        self._text = b""
        self._adler = 1
        self._tail = tail
        self._began = time.perf_counter()
        self._first = 0.0

    # -- what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(
            asyncio.Transport, transport
        )  # uvloop's is one without being registered as one.

    def connection_lost(self, error: Exception | None) -> None:
        self._writable.set()
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(WrongAnswer(f"the connection broke ({error})"))

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._view

    def buffer_updated(self, count: int) -> None:
        if not self._first:
            self._first = time.perf_counter()
        if self._status:
            self._take(self._view[:count])
            return
        self._head += self._view[:count]
        end = self._head.find(b"\r\n\r\n")
        if end < 0:
            return
        head, rest = bytes(self._head[: end + 2]), bytes(self._head[end + 4 :])
        status, length = _STATUS.match(head), _LENGTH.search(head)
        if status is None or (length is None and status[1] != b"204"):
            self._fail(f"not an answer with a length: {head[:200]!r}")
            return
        self._status = int(status[1])
        self._size = int(length[1]) if length else 0
        self._skip = 0 if self._tail is None else max(self._size - self._tail, 0)
        self._take(memoryview(rest))

    def _take(self, data: memoryview) -> None:
        if len(self._text) < _KEPT and self._size <= _KEPT:
            self._text += bytes(data)
        self._adler = zlib.adler32(data[max(self._skip - self._got, 0) :], self._adler)
        self._got += len(data)
        if self._got > self._size:
            self._fail("more bytes than announced")
        elif self._got == self._size and self._answer is not None and not self._answer.done():
            last = time.perf_counter()
            self._answer.set_result(
                Answer(self._status, self._size, self._adler, self._text, self._began, self._first, last)
            )

    def _fail(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(WrongAnswer(why))
        self.close()
