"""An association that this side asks for (PS3.8 §9.2): opened, spoken in, and released or aborted. Every wait ends."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from mdm_async.http_failures import why_unreached
from mdm_async.pacs.dimse import proposing
from mdm_async.pacs.dimse.association_items import MOST_ASSOCIATE
from mdm_async.pacs.dimse.commands import Command
from mdm_async.pacs.dimse.messages import LONGEST, Messages, Released
from mdm_async.pacs.dimse.pdus import (
    LIMIT_REACHED,
    RELEASE_RP,
    RELEASE_RQ,
    UNKNOWN_CALLED,
    UNKNOWN_CALLING,
    AbortReason,
    Broken,
    Kind,
    Rejection,
    command_data,
    data_set_data,
)
from mdm_async.pacs.dimse.proposing import Agreed, Context, Proposed
from mdm_async.pacs.dimse.wire import BUFFERED, UNSENT, Gone, Silent, Wire

_RELEASE: Final = 5.0
"""Seconds in which a peer may agree to a release."""
_RELEASED: Final = 16
"""PDUs that it may have on the way then."""
_IDS: Final = 0xFFFF
_TRANSIENT: Final = 2
"""A result of an A-ASSOCIATE-RJ."""
_WORDS: Final = {
    UNKNOWN_CALLING: "does not know the AE title of this server, or not at this address",
    UNKNOWN_CALLED: "has another AE title than the one it was called by",
    LIMIT_REACHED: "has as many associations as it may",
}


class NoAssociation(Exception):
    """The peer cannot be reached, or gives no association; str(self) is why, free of anything that it sent.

    `cause`: what of the network keeps it from being reached, for those only who could look for themselves.
    `transient`: it may well give one soon (PS3.8 §9.3.4).
    """

    def __init__(self, why: str, cause: str = "", *, transient: bool = False) -> None:
        self.cause, self.transient = cause, transient
        super().__init__(why)


@dataclass(frozen=True, slots=True)
class CalledPeer:
    """An application entity that this server calls, and under which title of its own.

    `tls`: None for plain TCP. `certificate` (DER): that it has to show; None for one that `tls` trusts.
    """

    host: str
    port: int
    title: str
    own_title: str
    tls: ssl.SSLContext | None = None
    certificate: bytes | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """Seconds to connect and to be given an association, each; the rest as `Wire` has it."""

    opening: float
    idle: float
    pace: float
    slowest: int


@dataclass(eq=False, slots=True)
class Requestor:
    """An open association. All that waits raises Aborted, Released, Broken, Silent, Gone."""

    wire: Wire
    agreed: Agreed
    messages: Messages = field(init=False)
    _last_id: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self.messages = Messages(self.wire)

    def context(self, abstract: str, syntax: str | None = None) -> Context | None:
        """The first that was agreed on for a class (in that transfer syntax)."""
        return next(
            (
                one
                for one in self.agreed.contexts
                if one.abstract == abstract and syntax in (None, one.syntax)
            ),
            None,
        )

    def next_id(self) -> int:
        """A message ID that no request of this association has lately had."""
        self._last_id = self._last_id % _IDS + 1
        return self._last_id

    async def send(
        self, context: Context, command: bytes, data_set: AsyncIterable[bytes | memoryview] | None = None
    ) -> None:
        """A command, and its data set as it comes, in the context's transfer syntax."""
        await self.wire.send(command_data(context.id, command, self.agreed.longest))
        if data_set is not None:
            longest = min(self.agreed.longest or LONGEST, LONGEST)
            async with aclosing(data_set_data(context.id, data_set, longest)) as pdus:
                async for pdu in pdus:
                    await self.wire.send(pdu, paced=True)

    async def receive(self) -> tuple[Context, Command]:
        """The next command; its data set, if it has one, is to be taken by `data_set` or `whole_data_set` before
        anything else."""
        id_, command = await self.messages.command()
        context = next((one for one in self.agreed.contexts if one.id == id_), None)
        if context is None:
            raise Broken(AbortReason.INVALID_PARAMETER, "a presentation context that was not agreed on")
        return context, command

    def data_set(self) -> AsyncGenerator[bytes, None]:
        """As it comes, in constant memory."""
        return self.messages.data_set()

    async def whole_data_set(self, most: int) -> bytes:
        """Raises Broken when it has more bytes than that."""
        whole = bytearray()
        async with aclosing(self.data_set()) as chunks:
            async for chunk in chunks:
                whole += chunk
                if len(whole) > most:
                    raise Broken(AbortReason.NOT_SPECIFIED, "a data set that is too long")
        return bytes(whole)

    async def release(self) -> None:
        """Ask the peer to end the association; whatever it says, it is ended then."""
        async with asyncio.timeout(_RELEASE):
            await self.wire.send(RELEASE_RQ)
            for _ in range(_RELEASED):
                kind, length = await self.wire.header(paced=True)
                if length > LONGEST:
                    return
                await self.wire.whole(length)
                if kind == Kind.RELEASE_RQ:  # Both asked at once (PS3.8 §9.2.3).
                    await self.wire.send(RELEASE_RP)
                elif kind != Kind.DATA:
                    return


@asynccontextmanager
async def associated(
    peer: CalledPeer, proposed: Sequence[Proposed], patience: Patience
) -> AsyncIterator[Requestor]:
    """An association with a peer, that may have agreed to nothing of what was proposed.

    It is released at the end, and aborted when the end is an error. Raises NoAssociation; Broken, Silent, Gone.
    """
    wire = await _connected(peer, patience)
    try:
        requestor = Requestor(wire, await _agreed(wire, peer, proposed, patience))
        yield requestor
        await _released(requestor)
    except GeneratorExit:  # Who speaks in it is a generator, of which nobody wants more.
        await _released(requestor)
        raise
    except Released:
        await wire.say_last(RELEASE_RP)
        raise
    except Broken as why:
        wire.abort(why.reason)
        raise
    except BaseException:
        wire.abort(AbortReason.NOT_SPECIFIED)
        raise
    finally:
        wire.close()


async def _released(requestor: Requestor) -> None:
    """What goes wrong with a farewell matters to nobody."""
    try:
        await requestor.release()
    except (TimeoutError, Silent, Gone):
        requestor.wire.abort(AbortReason.NOT_SPECIFIED)


_NO_TLS: Final = "its port may be one without TLS"


async def _connected(peer: CalledPeer, patience: Patience) -> Wire:
    try:
        async with asyncio.timeout(patience.opening):
            reader, writer = await asyncio.open_connection(peer.host, peer.port, limit=BUFFERED, ssl=peer.tls)
    except TimeoutError:
        raise NoAssociation("does not answer in time") from None
    except ssl.SSLCertVerificationError:
        raise NoAssociation("has a certificate that is not trusted, or of another host") from None
    except ssl.SSLError:
        raise NoAssociation("does not speak TLS as it should", _NO_TLS) from None
    except ConnectionResetError:
        # While the handshake went on.
        raise NoAssociation("ends the connection at once", _NO_TLS if peer.tls else "") from None
    except OSError as failed:
        raise NoAssociation("cannot be reached", why_unreached(failed)) from None
    if peer.certificate is not None:
        shown = writer.get_extra_info("ssl_object")
        if shown is None or shown.getpeercert(binary_form=True) != peer.certificate:
            writer.transport.abort()
            raise NoAssociation("shows another certificate than the one that it has to")
    # Nothing is kept back: what was sent has left, or its sender waits.
    writer.transport.set_write_buffer_limits(*UNSENT)
    return Wire(reader, writer, patience.idle, patience.pace, patience.slowest)


async def _agreed(wire: Wire, peer: CalledPeer, proposed: Sequence[Proposed], patience: Patience) -> Agreed:
    try:
        async with asyncio.timeout(patience.opening):
            await wire.send(proposing.request(peer.title, peer.own_title, proposed, LONGEST))
            kind, length = await wire.header(paced=True)
            if kind not in list(Kind):
                raise NoAssociation("does not speak DICOM at this port")
            if length > MOST_ASSOCIATE:
                raise Broken(AbortReason.INVALID_PARAMETER, "an answer to an A-ASSOCIATE-RQ that is too long")
            body = await wire.whole(length)
    except (TimeoutError, Silent):
        raise NoAssociation("does not answer in time") from None
    except Gone:
        raise NoAssociation("ends the connection without a word") from None
    if kind == Kind.ASSOCIATE_RJ:
        why = proposing.parse_rejection(body)
        raise NoAssociation(_words(why), transient=why.result == _TRANSIENT)
    if kind == Kind.ABORT:
        raise NoAssociation("aborts the association at once")
    if kind != Kind.ASSOCIATE_AC:
        raise Broken(AbortReason.UNEXPECTED_PDU, "no answer to an A-ASSOCIATE-RQ")
    return proposing.parse_accept(body, proposed)


def _words(why: Rejection) -> str:
    return _WORDS.get(why, "rejects the association ({}, {}, {})".format(*why))
