"""Questions and answers between two processes of one server, over a socket that only they have."""

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final, Self

_HEAD: Final = struct.Struct(">?IQ")
"""Whether it is an answer; the number of the question; bytes that follow."""

Answer = Callable[[bytes], Awaitable[bytes]]


class Line:
    """One end; either may ask. `run` it beside: nothing is heard without."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Answer) -> None:
        self._reader, self._writer, self._answer = reader, writer, answer
        self._numbers = count()
        self._asked: dict[int, asyncio.Future[bytes]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._ended = False

    @classmethod
    async def over(cls, end: socket.socket, answer: Answer) -> Self:
        """`answer` gives what the other end is told when it asks."""
        end.setblocking(False)
        return cls(*await asyncio.open_connection(sock=end), answer)

    async def ask(self, question: bytes) -> bytes:
        """Raises ConnectionError when the other process is no more."""
        if self._ended:
            raise ConnectionError("the other process has ended")
        number = next(self._numbers)
        self._asked[number] = asyncio.get_running_loop().create_future()
        try:
            self._send(number, question, is_answer=False)
            return await self._asked[number]
        finally:
            del self._asked[number]

    async def hand(self, what: bytes) -> None:
        """Before anything is asked: the other end's `handed` gives it."""
        self._send(0, what, is_answer=False)
        await self._writer.drain()

    async def handed(self) -> bytes:
        """What the other end has handed over, before anything was asked. Raises IncompleteReadError when it ended."""
        _, _, length = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
        return await self._reader.readexactly(length)

    async def run(self) -> None:
        """Until the other end is closed, as its process' end does too."""
        try:
            while True:
                is_answer, number, length = _HEAD.unpack(await self._reader.readexactly(_HEAD.size))
                said = await self._reader.readexactly(length)
                if not is_answer:
                    self._keep(asyncio.create_task(self._tell(number, said)))
                elif (asked := self._asked.get(number)) is not None and not asked.done():
                    asked.set_result(said)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self._ended = True
            for asked in self._asked.values():
                if not asked.done():
                    asked.set_exception(ConnectionError("the other process has ended"))
            for task in self._answering:
                task.cancel()
            self._writer.close()

    async def _tell(self, number: int, question: bytes) -> None:
        self._send(number, await self._answer(question), is_answer=True)

    def _send(self, number: int, said: bytes, *, is_answer: bool) -> None:
        self._writer.write(_HEAD.pack(is_answer, number, len(said)) + said)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)
