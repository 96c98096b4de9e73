"""The body of an answer: pieces of a representation on their way to the socket, paced, counted, audited, cut."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace

import structlog
from aiohttp import HttpVersion11, web
from aiohttp.http_writer import StreamWriter
from prometheus_client import Counter

from mdm_async.auditing.reads import Read, Reading
from mdm_async.blobs.store import FileRange, Piece
from mdm_async.errors import Damaged, Gone
from mdm_async.images.metrics import CLEAR_OUT, SEALED_OUT
from mdm_async.images.reading.buffers import give_back
from mdm_async.images.reading.representation import Ending, Pieces, Source
from mdm_async.names import Payer
from mdm_async.web.http import problem, sendfile
from mdm_async.web.http.channel import source_of
from mdm_async.web.http.connection import Connection
from mdm_async.web.http.house import HOUSE

AHEAD = 2 << 20
"""Bytes that a reader who hardly reads leaves in memory: a piece on its way, and the next one decrypted. A sealed
stream is sent from its file where no TLS is in between."""

COPIED = 16 << 10
"""Bytes that are copied rather than sent by themselves, at the most."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Section:
    """The bytes start ≤ i < stop of a source, after a preface."""

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

    def as_chunk(self) -> "Body":
        """Framed as one chunk (RFC 9112 §7.1)."""
        first, *others = self.sections
        begin = replace(first, preface=b"%x\r\n" % self.size + first.preface)
        return Body([begin, *others], self.end + b"\r\n")


@dataclass(frozen=True, slots=True)
class Part:
    """What is sent of one source, of several that make one answer; `read` is for the audit."""

    served: Source
    read: Read
    body: Body


async def send(
    request: web.Request, answer: web.StreamResponse, served: Source, read: Read, body: Body
) -> None:
    """Prepare the answer and send its body. What cannot be read is an error while no status has been sent."""
    transport = transport_of(request)
    house = request.app[HOUSE]
    payer = Payer.of(read.caller, read.owner, source_of(request))
    from_file = house.blobs.files and is_plain(transport) and served.sealed
    with (
        house.admission.sending(payer, served.ending, transport.abort),
        house.budget.holding(payer, 0 if from_file else min(body.size, AHEAD)),
        breaking_off(answer, transport),
    ):
        await _send(request, transport, answer, Part(served, read, body))
        await answer.write_eof()


async def send_parts(
    request: web.Request,
    answer: web.StreamResponse,
    payer: Payer,
    parts: AsyncGenerator[Part, None],
    end: bytes,
) -> None:
    """As `send`, of one part after the other, and what ends them; each is asked for when the one before is sent.

    Each part is one chunk. aiohttp would make one of each piece, and copy it for that.
    """
    transport = transport_of(request)
    house = request.app[HOUSE]
    chunked = request.version >= HttpVersion11
    with (
        house.admission.sending(payer, Ending(), transport.abort),
        house.budget.holding(payer, AHEAD),
        breaking_off(answer, transport),
    ):
        async with aclosing(parts) as each:
            async for part in each:
                sent = replace(part, body=part.body.as_chunk()) if chunked else part
                with part.served.ending.cutting(transport.abort):
                    await _send(request, transport, answer, sent, chunked=chunked)
            if chunked:
                end = (b"%x\r\n%b\r\n" % (len(end), end) if end else b"") + b"0\r\n\r\n"
            await answer.write_eof(end)


def transport_of(request: web.Request) -> asyncio.Transport:
    if request.transport is None:
        raise ConnectionResetError("the client has gone")
    return request.transport


def is_plain(transport: asyncio.Transport) -> bool:
    return transport.get_extra_info("sslcontext") is None


@contextmanager
def breaking_off(answer: web.StreamResponse, transport: asyncio.Transport) -> Iterator[None]:
    """Once the status is out, only a cut connection tells the client that bytes are missing."""
    try:
        yield
    except ConnectionError:
        raise
    except Exception as error:
        if not answer.prepared:
            raise
        problem.log(error)
        transport.abort()
        raise ConnectionResetError("the transfer broke off") from error


async def _send(
    request: web.Request,
    transport: asyncio.Transport,
    answer: web.StreamResponse,
    part: Part,
    *,
    chunked: bool = False,
) -> None:
    served, body = part.served, part.body
    if served.ending.ended:
        raise Gone(remedy="ask for it again")
    connection = request.protocol
    assert isinstance(connection, Connection)
    async with (
        request.app[HOUSE].reads.reading(part.read, served.ending, source_of(request)) as reading,
        telling_damage(part.read),
        served.open([(one.start, one.stop) for one in body.sections], files=is_plain(transport)) as pieces,
        aclosing(_in_order(pieces, body)) as chosen,
    ):
        first = await anext(chosen, b"")
        if not answer.prepared:
            # What is small leaves in one packet with its headers, for which it is copied.
            answer._send_headers_immediately = isinstance(first, FileRange) or len(first) > COPIED
            await answer.prepare(request)
            if chunked:
                assert isinstance(request.writer, StreamWriter)
                request.writer.chunked = False  # The part is a chunk already.
        sending = Sending(connection, request, transport, answer, served, reading)
        await sending.send(first)
        async for piece in chosen:
            await sending.send(piece)


def counter_of(served: Source) -> Counter:
    """Of bytes that go out."""
    return SEALED_OUT if served.sealed else CLEAR_OUT


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
            if isinstance(first, FileRange) or len(first) > COPIED:
                if section.preface:
                    yield section.preface
                yield first
            else:
                yield section.preface + first
            async for piece in found:
                yield piece
    if body.end:
        yield body.end


@dataclass(frozen=True, slots=True)
class Sending:
    """One body on its way to a reader who takes it bit by bit."""

    connection: Connection
    request: web.Request
    transport: asyncio.Transport
    answer: web.StreamResponse
    served: Source
    reading: Reading

    async def send(self, piece: Piece) -> None:
        self._demand_going()
        if isinstance(piece, FileRange):
            steps = sendfile.send(self.transport, self.request.writer.drain, piece)
            with self.connection.sending_beside():
                async with aclosing(steps) as sizes:
                    async for size in sizes:
                        self.connection.sent_beside(size)
                        self.count(size)
                        self._demand_going()
        else:
            self.count(len(piece))
            await self.answer.write(piece)
            if len(piece) > COPIED:
                if is_plain(self.transport):  # What is encrypted is taken at once, into other memory.
                    await sendfile.flushed(self.transport, self.request.writer.drain)
                if not self.transport.get_write_buffer_size():
                    give_back(piece)

    async def taken(self) -> None:
        """Wait until the transport wants more."""
        await self.request.writer.drain()

    def count(self, size: int) -> None:
        """So many bytes have gone."""
        counter_of(self.served).inc(size)
        self.reading.bytes += size

    def _demand_going(self) -> None:
        """What was released, revoked or deleted stops where it is; the client sees too few bytes."""
        if self.served.ending.ended:
            self.transport.abort()
            raise ConnectionResetError("the transfer was ended")
