"""The bytes of one association: every wait for the peer ends, and nothing is read that has no room."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from mdm_async.pacs.dimse.pdus import HEADER, AbortReason, abort

BUFFERED: Final = 128 << 10
"""Bytes that are read ahead; up to twice as many before the peer has to wait."""
UNSENT: Final = (1, 0)
"""Bytes that a transport keeps before its sender waits, and with which it goes on. Not 0: with nothing unsent, TLS in
asyncio would wait too, until the peer says something."""
_UNINTERRUPTED: Final = 32
"""Reads after which others have their turn: what is buffered already is read without a wait."""
_LINGER: Final = 2.0
"""Seconds in which the peer may take the last words and close (as ARTIM, PS3.8 §9.1.5)."""
_LINGERED: Final = 1 << 20
"""Bytes of its own that it may still send meanwhile."""


class Silent(Exception):
    """The peer has sent nothing, or too little, for as long as it may."""


class Gone(Exception):
    """The connection has ended."""


@dataclass(slots=True)
class Pace:
    """Bytes that have to move in each second of waiting, over `seconds` of it."""

    seconds: float
    slowest: int
    _waited: float = field(default=0.0, init=False)
    _moved: int = field(default=0, init=False)

    def keep(self, waited: float, moved: int) -> None:
        """Only waiting counts, not the time in which what came is worked on. Raises Silent."""
        self._waited += waited
        self._moved += moved
        if self._waited >= self.seconds:
            if self._moved < self.slowest * self.seconds:
                raise Silent
            self._waited, self._moved = 0.0, 0


@dataclass(slots=True)
class Wire:
    """`idle`: seconds that the peer may be silent. Over `pace` seconds of waiting, it sends `slowest` bytes at least
    each second, once it sends; and takes as many of a data set that it is sent."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    idle: float
    pace: float
    slowest: int
    _in: "Pace" = field(init=False)
    _out: "Pace" = field(init=False)
    _reads: int = field(default=0, init=False)
    _heard: bytes = field(default=b"", init=False)
    """A byte that came while nothing was read."""

    def __post_init__(self) -> None:
        self._in, self._out = Pace(self.pace, self.slowest), Pace(self.pace, self.slowest)

    async def header(self, *, paced: bool) -> tuple[int, int]:
        """Type and length of the next PDU. `paced`: one is owed, and waiting for it counts. Raises Silent, Gone."""
        kind, length = HEADER.unpack(await self.exactly(HEADER.size, paced=paced))
        return kind, length

    async def exactly(self, size: int, *, paced: bool = True) -> bytes:
        """So many bytes, at most `BUFFERED`. Raises Silent, Gone."""
        await self._give_turn()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(self.idle):
                data = self._heard + await self.reader.readexactly(size - len(self._heard))
                self._heard = b""
        except TimeoutError:
            raise Silent from None
        except (asyncio.IncompleteReadError, OSError):
            raise Gone from None
        if paced:
            self._in.keep(loop.time() - begun, 0)
        return data

    async def hear(self) -> None:
        """Returns once the peer has begun to say something, however long that takes; cancelled, it loses nothing.
        Raises Gone."""
        if self._heard:
            return
        try:
            self._heard = await self.reader.read(1)
        except OSError:
            raise Gone from None
        if not self._heard:
            raise Gone

    async def some(self, most: int) -> bytes:
        """What is there of a run of bytes, at most so many and at least one. Raises Silent, Gone."""
        await self._give_turn()
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(self.idle):
                data = self._heard or await self.reader.read(most)
                self._heard = b""
        except TimeoutError:
            raise Silent from None
        except OSError:
            raise Gone from None
        if not data:
            raise Gone
        self._in.keep(loop.time() - begun, len(data))
        return data

    async def whole(self, size: int) -> bytes:
        """So many bytes, however they come; bound it before. Raises Silent, Gone."""
        body = bytearray()
        while len(body) < size:
            body += await self.some(size - len(body))
        return bytes(body)

    async def _give_turn(self) -> None:
        self._reads += 1
        if self._reads % _UNINTERRUPTED == 0:
            await asyncio.sleep(0)

    async def send(self, data: bytes, *, paced: bool = False) -> None:
        """`paced`: it is of a data set, for which the peer may not let wait too long. Raises Silent, Gone."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            self.writer.write(data)
            async with asyncio.timeout(self.idle):
                await self.writer.drain()
        except TimeoutError:
            raise Silent from None
        except OSError:
            raise Gone from None
        if paced:
            self._out.keep(loop.time() - begun, len(data))

    async def say_last(self, data: bytes) -> None:
        """Send, and wait a moment for the peer to close: it would not read what a reset overtakes."""
        with suppress(Silent, Gone, OSError, TimeoutError):
            await self.send(data)
            left = _LINGERED
            async with asyncio.timeout(_LINGER):
                while left > 0 and (more := await self.reader.read(BUFFERED)):
                    left -= len(more)

    def abort(self, reason: AbortReason) -> None:
        """At once, without a wait."""
        with suppress(OSError, RuntimeError):
            self.writer.write(abort(reason))
        self._close()

    def close(self) -> None:
        """What the peer has not taken by now it is not given. Once `abort` or `cut` was called, this does nothing."""
        if self.writer.transport.is_closing():
            return
        if self.writer.transport.get_write_buffer_size():
            self.cut()
        else:
            self._close()

    def _close(self) -> None:
        """What is unsent, by TLS as well, has a moment: a peer that reads nothing would keep it here for ever."""
        self.writer.close()
        asyncio.get_running_loop().call_later(_LINGER, self.writer.transport.abort)

    def cut(self) -> None:
        """End the connection without a word."""
        self.writer.transport.abort()
