"""One HTTP/1.1 connection that costs its process as little as can be: an answer's body is summed, never kept."""

import asyncio
import re
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self, cast

from bench.framing import BadFraming, Chunked, Framing, OfLength, UntilClosed
from bench.multipart import Parts

_RECEIVE = 512 << 10
_KEPT = 64 << 10
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3})")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)
_CLOSES = re.compile(rb"\r\nconnection: *close", re.IGNORECASE)
_BOUNDARY = re.compile(rb"\r\ncontent-type: *multipart/[^\r]*boundary=\"?([^\r\";]+)", re.IGNORECASE)


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
    parts: list[int] = field(default_factory=list)
    """The ADLER32 of each part, when it comes in parts."""


class Connection(asyncio.BufferedProtocol):
    """Takes one answer at a time. What the server closes is opened again for the next."""

    def __init__(self) -> None:
        self._address: tuple[str, int, tuple[str, int] | None] = ("", 0, None)
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
        connection = cls()
        connection._address = (host, port, None if source is None else (source, 0))
        await connection._connect()
        return connection

    async def _connect(self) -> None:
        host, port, own = self._address
        await asyncio.get_running_loop().create_connection(lambda: self, host, port, local_addr=own)

    async def ask(self, request: bytes, body: Iterable[bytes] = (), tail: int | None = None) -> Answer:
        """Send a request, then its body; `tail`: how many of the answer's last bytes to sum (None: all).

        Raises WrongAnswer when the connection breaks.
        """
        if self._transport is None:
            await self._connect()
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
        self._status = self._got = self._skip = 0
        self._size: int | None = None
        """Of the body, when it is announced."""
        self._framing: Framing = UntilClosed()
        self._parts: Parts | None = None
        self._closes = False
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
        self._transport = None
        if self._answer is not None and not self._answer.done():
            if error is None and self._status and isinstance(self._framing, UntilClosed):
                self._end()
                return
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
        if status is None:
            self._fail(f"not an answer: {head[:200]!r}")
            return
        self._status, self._closes = int(status[1]), _CLOSES.search(head) is not None
        if length or status[1] == b"204":
            self._size = int(length[1]) if length else 0
            self._framing = OfLength(self._size)
        elif _CHUNKED.search(head):
            self._framing = Chunked()
        elif not self._closes:
            self._fail(f"not an answer that ends: {head[:200]!r}")
            return
        self._skip = 0 if self._tail is None or self._size is None else max(self._size - self._tail, 0)
        if boundary := _BOUNDARY.search(head):
            self._parts = Parts(boundary[1])
        self._take(memoryview(rest))

    def _take(self, data: memoryview) -> None:
        try:
            for some in self._framing.feed(data):
                self._sum(some)
        except BadFraming as why:
            self._fail(f"{why}")
            return
        if self._framing.done:
            self._end()

    def _sum(self, data: memoryview) -> None:
        if self._parts is not None:
            self._parts.feed(data)
        else:
            if len(self._text) < _KEPT and (self._size is None or self._size <= _KEPT):
                self._text += bytes(data)
            self._adler = zlib.adler32(data[max(self._skip - self._got, 0) :], self._adler)
        self._got += len(data)

    def _end(self) -> None:
        last, parts = time.perf_counter(), self._parts
        if parts is not None and not parts.ended:
            self._fail("an answer in parts that does not end")
        if self._closes:
            self.close()
            self._transport = None
        if self._answer is not None and not self._answer.done():
            told = parts.found if parts is not None else []
            times = self._began, self._first, last
            self._answer.set_result(
                Answer(self._status, self._got, self._adler, self._text, *times, parts=told)
            )

    def _fail(self, why: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(WrongAnswer(why))
        self.close()
