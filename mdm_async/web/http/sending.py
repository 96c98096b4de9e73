"""The body of an answer: pieces of a representation on their way to the socket, paced, counted, audited, cut."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import structlog
from aiohttp import web

from mdm_async.auditing.reads import Read, Reading
from mdm_async.blobs.store import FileRange, Piece
from mdm_async.errors import Damaged, Gone
from mdm_async.images.metrics import CLEAR_OUT, SEALED_OUT
from mdm_async.images.reading.representation import Pieces, Representation
from mdm_async.names import Payer
from mdm_async.web.http import problem, sendfile
from mdm_async.web.http.channel import source_of
from mdm_async.web.http.connection import Connection
from mdm_async.web.http.house import HOUSE

_AHEAD = 2 << 20
"""Bytes that a reader who hardly reads leaves in memory: a piece on its way, and the next one decrypted. A sealed
stream is sent from its file where no TLS is in between."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Section:
    """The bytes start ≤ i < stop of a representation, after a preface."""

    start: int
    stop: int
    preface: bytes = b""


@dataclass(frozen=True, slots=True)
class Body:
    """Sections in order, and what ends them."""

    sections: Sequence[Section]
    end: bytes = b""

    @property
    def size(self) -> int:
        return sum(len(one.preface) + one.stop - one.start for one in self.sections) + len(self.end)


async def send(
    request: web.Request, answer: web.StreamResponse, served: Representation, read: Read, body: Body
) -> None:
    """Prepare the answer and send its body. What cannot be read is an error while no status has been sent."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    if served.ending.ended:
        raise Gone(remedy="ask for it again")
    house = request.app[HOUSE]
    spans = [(one.start, one.stop) for one in body.sections]
    plain = transport.get_extra_info("sslcontext") is None
    source = source_of(request)
    payer = Payer.of(read.caller, read.owner, source)
    connection = request.protocol
    assert isinstance(connection, Connection)
    with (
        house.admission.sending(payer, served.ending, transport.abort),
        house.budget.holding(payer, 0 if plain and served.sealed else min(body.size, _AHEAD)),
    ):
        async with (
            house.reads.reading(read, served.ending, source) as reading,
            telling_damage(read),
            served.open(spans, files=plain) as pieces,
            aclosing(_in_order(pieces, body)) as chosen,
        ):
            first = await anext(chosen, b"")
            # What aiohttp writes leaves in one packet with its headers; what sendfile sends comes after them.
            answer._send_headers_immediately = isinstance(first, FileRange)
            await answer.prepare(request)
            sending = _Sending(connection, request, transport, answer, served, reading)
            try:
                await sending.send(first)
                async for piece in chosen:
                    await sending.send(piece)
                await answer.write_eof()
            except ConnectionError:
                raise
            except Exception as error:
                if isinstance(error, Damaged):
                    _tell_damage(read, error)
                # The status is out: only a cut connection tells the client that bytes are missing.
                problem.log(error)
                transport.abort()
                raise ConnectionResetError("the transfer broke off") from error


@asynccontextmanager
async def telling_damage(read: Read) -> AsyncIterator[None]:
    """Say in the log of which file what was stored is gone, or no longer as it was."""
    try:
        yield
    except Damaged as why:
        _tell_damage(read, why)
        raise


def _tell_damage(read: Read, why: Damaged) -> None:
    _log.error(
        "a stored file is damaged; run mdm fsck", guid=str(read.guid), view=read.view, reason=why.detail
    )


async def _in_order(pieces: Pieces, body: Body) -> AsyncGenerator[Piece, None]:
    for section in body.sections:
        async with aclosing(pieces(section.start, section.stop)) as found:
            # Its bytes are there before its preface is sent: those of the first come before the status.
            first = await anext(found, b"")
            if section.preface:
                yield section.preface
            yield first
            async for piece in found:
                yield piece
    if body.end:
        yield body.end


@dataclass(frozen=True, slots=True)
class _Sending:
    """One body on its way."""

    connection: Connection
    request: web.Request
    transport: asyncio.Transport
    answer: web.StreamResponse
    served: Representation
    reading: Reading

    async def send(self, piece: Piece) -> None:
        self._demand_going()
        if isinstance(piece, FileRange):
            steps = sendfile.send(self.transport, self.request.writer.drain, piece)
            with self.connection.sending_beside():
                async with aclosing(steps) as sizes:
                    async for size in sizes:
                        self.connection.sent_beside(size)
                        self._count(size)
                        self._demand_going()
        else:
            self._count(len(piece))
            await self.answer.write(piece)

    def _count(self, size: int) -> None:
        (SEALED_OUT if self.served.sealed else CLEAR_OUT).inc(size)
        self.reading.bytes += size

    def _demand_going(self) -> None:
        """What was released, revoked or deleted stops where it is; the client sees too few bytes."""
        if self.served.ending.ended:
            self.transport.abort()
            raise ConnectionResetError("the transfer was ended")
