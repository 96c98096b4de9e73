"""The rest of an answer that has begun to leave at once, and did not: from here on it is sent as any other.

Its request is parsed and counted as ever, and comes past its handler to here (`middleware`).
"""

from contextlib import ExitStack
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from aiohttp.typedefs import Handler

from mdm_async.auditing.reads import Read
from mdm_async.images.reading.at_hand import AtHand
from mdm_async.images.reading.representation import Source
from mdm_async.names import Payer
from mdm_async.web.http.connection import Connection
from mdm_async.web.http.house import House
from mdm_async.web.http.sending import AHEAD, Sending, breaking_off, telling_damage, transport_of
from mdm_async.web.http.write_now import Left


@dataclass(slots=True)
class Begun:
    """Until it is closed it holds what any transfer does: a place, memory, and its connection's end."""

    house: House
    connection: Connection
    served: Source
    read: Read
    payer: Payer
    source: str
    at_hand: AtHand
    left: Left
    head: int
    """Bytes of the status and the header fields."""
    sent: int
    """Bytes of the body that have left, or wait in the transport."""
    _held: ExitStack = field(default_factory=ExitStack)

    def __post_init__(self) -> None:
        """Nothing may have been waited for since it was found that there is room (`may_run`, `may_hold`)."""
        size = 0 if self.served.sealed and not self.connection.is_encrypted else self.sent + self.left.of_body
        cut = self.connection.cut_off
        self._held.enter_context(self.house.admission.sending(self.payer, self.served.ending, cut))
        self._held.enter_context(self.house.budget.holding(self.payer, min(size, AHEAD)))
        self._held.callback(self.at_hand.close)

    def close(self) -> None:
        """Nobody came to finish it."""
        self.house.reads.sent(
            self.read, self.source, self.sent, "ended" if self.served.ending.ended else "broken"
        )
        self._let_go()

    async def finish(self, request: web.Request) -> web.StreamResponse:
        answer = _Answer(request)
        request.writer.output_size = self.head - len(self.left.head) + self.sent
        transport = transport_of(request)
        reads, ending = self.house.reads, self.served.ending
        with breaking_off(answer, transport):
            try:
                async with (
                    reads.reading(self.read, ending, self.source) as reading,
                    telling_damage(self.read),
                ):
                    reading.bytes = self.sent
                    sending = Sending(self.connection, request, transport, answer, self.served, reading)
                    if self.left.head:
                        await answer.write(self.left.head)
                    for piece in self.left.pieces:
                        await sending.send(piece)
                    await sending.taken()
            finally:
                self._let_go()
        return answer

    def _let_go(self) -> None:
        self.connection.begun = None
        self._held.close()


class _Answer(web.StreamResponse):
    """One whose head is sent; aiohttp is to send nothing for it."""

    def __init__(self, request: web.Request) -> None:
        super().__init__()
        self._to = request.writer

    prepared = property(lambda _: True)
    keep_alive = property(lambda _: True)

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        return self._to

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        await self._to.write(data)

    async def write_eof(self, data: bytes = b"") -> None:
        pass


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    connection = request.protocol
    if isinstance(connection, Connection) and isinstance(connection.begun, Begun):
        return await connection.begun.finish(request)
    return await handler(request)
