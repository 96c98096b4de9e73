"""One association as its acceptor sees it (PS3.8 §9.2): negotiated, served message by message, and ended."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import Final

import structlog

from mdm_async.dicom.stored_classes import STORAGE_CLASSES, TRANSFER_SYNTAXES
from mdm_async.errors import Unauthenticated
from mdm_async.names import Caller
from mdm_async.pacs.dimse import commands, metrics, negotiation
from mdm_async.pacs.dimse.association_items import APPLICATION, MOST_ASSOCIATE
from mdm_async.pacs.dimse.commands import C_CANCEL, C_ECHO, C_STORE, RESPONSE, VERIFICATION, Command
from mdm_async.pacs.dimse.messages import LONGEST, Aborted, Messages, Released
from mdm_async.pacs.dimse.negotiation import ACCEPTED, Answered, Request, Titles
from mdm_async.pacs.dimse.pdus import (
    LIMIT_REACHED,
    RELEASE_RP,
    UNKNOWN_APPLICATION,
    UNKNOWN_CALLED,
    UNKNOWN_CALLING,
    UNKNOWN_PROTOCOL,
    AbortReason,
    Broken,
    Kind,
    Rejection,
    abort,
    command_data,
    reject,
)
from mdm_async.pacs.dimse.peers import OtherEnd, Peer, Peers
from mdm_async.pacs.dimse.storing import Answer, Storage
from mdm_async.pacs.dimse.wire import Gone, Silent, Wire
from mdm_async.pacs.statuses import NOT_UNDERSTOOD, PROCESSING_FAILURE, SUCCESS
from mdm_async.postgres.turns import on_behalf
from mdm_async.seldom import Seldom

_UNRECOGNISED_OPERATION: Final = 0x0211
_CLASS_NOT_HERE: Final = 0x0122
_BY_REASON: Final = {
    UNKNOWN_CALLING: "unknown calling AE or address",
    UNKNOWN_CALLED: "another called AE",
    UNKNOWN_APPLICATION: "another application",
    UNKNOWN_PROTOCOL: "another protocol version",
    LIMIT_REACHED: "limit reached",
}

_TOLD: Final = Seldom(60)
_log = structlog.get_logger()


class Phase(Enum):
    """Where an association stands."""

    OPENING = "opening"
    OPEN = "open"
    STORING = "storing"
    """A C-STORE has begun and is not answered."""


@dataclass(frozen=True, slots=True)
class Acceptor:
    """What all associations of a listener are accepted by. `admit` counts one of a peer's, unless it is too many."""

    title: str
    peers: Peers
    storage: Storage
    head_seconds: float
    admit: Callable[[Peer], bool]
    dismiss: Callable[[Peer], None]


@dataclass(eq=False, slots=True)
class Association:
    """One connection. `run` ends with it; once `draining`, it ends after the C-STORE that it is in."""

    acceptor: Acceptor
    wire: Wire
    end: OtherEnd
    phase: Phase = field(default=Phase.OPENING, init=False)
    draining: bool = field(default=False, init=False)
    _peer: Peer | None = field(default=None, init=False)
    _contexts: dict[int, Answered] = field(default_factory=dict, init=False)
    _longest: int = field(default=0, init=False)

    async def run(self) -> None:
        """Whatever the peer does, this returns; cancelled, it sends an A-ABORT."""
        try:
            how = await self._run()
        except Released:
            await self.wire.say_last(RELEASE_RP)
            how = "released"
        except Aborted:
            how = "aborted by the peer"
        except Gone:
            how = "connection lost"
        except Silent:
            await self.wire.say_last(abort(AbortReason.NOT_SPECIFIED))
            how = "silent for too long"
        except Broken as why:
            self._tell("a device breaks the DICOM protocol", what=str(why), ae=self._title)
            await self.wire.say_last(abort(why.reason))
            how = "protocol broken"
        except asyncio.CancelledError:
            self.wire.abort(AbortReason.NOT_SPECIFIED)
            raise
        except Exception as why:
            # The type only: a message could hold what a file held.
            _log.error("an association failed unexpectedly", kind=type(why).__name__, source=self.source)
            self.wire.abort(AbortReason.NOT_SPECIFIED)
            how = "failed"
        finally:
            if self._peer is not None:
                self.acceptor.dismiss(self._peer)
            self.wire.close()
        metrics.ENDED.labels(how).inc()
        if self._peer is not None:
            _log.info("association ended", ae=self._title, source=self.source, how=how)

    @property
    def source(self) -> str:
        return self.end.address

    @property
    def _title(self) -> str:
        return self._peer.settings.ae if self._peer is not None else ""

    def _tell(self, event: str, *, what: str, **beside: str) -> None:
        """Of what anybody can make happen as often as they like."""
        if (unsaid := _TOLD.tell(what)) is not None:
            _log.warning(event, reason=what, source=self.source, **beside, **unsaid)

    async def _run(self) -> str:
        """How it ended."""
        try:
            async with asyncio.timeout(self.acceptor.head_seconds):
                body = await self._request()
        except TimeoutError:
            raise Silent from None
        titles = negotiation.parse_titles(body)
        request = Request()
        why = self._against(titles)
        if why is None:
            request = negotiation.parse_request(body)
            why = UNKNOWN_APPLICATION if request.application != APPLICATION else self._admitted(titles)
        if why is not None:
            await self._refuse(titles, why)
            return "refused"
        assert self._peer is not None
        answered = negotiation.answer(request, STORAGE_CLASSES, TRANSFER_SYNTAXES, VERIFICATION)
        self._contexts = {one.id: one for one in answered if one.result == ACCEPTED}
        self._longest = request.longest
        await self.wire.send(negotiation.accept(body, answered, LONGEST))
        return await self._serve(self._peer.caller(self.source))

    async def _request(self) -> bytes:
        """The variable field of an A-ASSOCIATE-RQ, which comes first."""
        kind, length = await self.wire.header(paced=False)
        if kind != Kind.ASSOCIATE_RQ:
            raise Broken(AbortReason.UNEXPECTED_PDU, "something else than an A-ASSOCIATE-RQ at first")
        if length > MOST_ASSOCIATE:
            raise Broken(AbortReason.INVALID_PARAMETER, "an A-ASSOCIATE-RQ that is too long")
        return await self.wire.whole(length)

    def _against(self, titles: Titles) -> Rejection | None:
        """Why there is no association, as far as the titles tell; nothing that comes behind them was looked at."""
        if not titles.version & 1:
            return UNKNOWN_PROTOCOL
        if self.acceptor.peers.find(titles.calling, self.end) is None:
            return UNKNOWN_CALLING
        return UNKNOWN_CALLED if titles.called != self.acceptor.title else None

    def _admitted(self, titles: Titles) -> Rejection | None:
        peer = self.acceptor.peers.find(titles.calling, self.end)
        assert peer is not None
        if self.draining or not self.acceptor.admit(peer):
            return LIMIT_REACHED
        self._peer = peer
        return None

    async def _refuse(self, titles: Titles, why: Rejection) -> None:
        reason = _BY_REASON[why]
        metrics.REFUSED.labels(reason).inc()
        shown = "".join(one if one.isascii() and one.isprintable() else "?" for one in titles.calling)
        self._tell("an association was refused", what=reason, calling=shown)
        if why in (UNKNOWN_CALLING, UNKNOWN_CALLED):
            error = Unauthenticated(f"an association was refused: {reason}")
            self.acceptor.storage.refusals.note(error, None, self.source, "associate")
        await self.wire.say_last(reject(why))

    async def _serve(self, caller: Caller) -> str:
        self.phase = Phase.OPEN
        on_behalf.set(caller.payer.account)
        messages = Messages(self.wire)
        while not self.draining:
            context, command = await messages.command()
            answered = self._contexts.get(context)
            if answered is None:
                raise Broken(AbortReason.INVALID_PARAMETER, "a presentation context that was not accepted")
            if command.field == C_CANCEL:
                continue
            if command.field & RESPONSE:
                raise Broken(AbortReason.UNEXPECTED_PARAMETER, "an answer to no request")
            self.phase = Phase.STORING
            answer = await self._answer(messages, caller, command, answered)
            is_whole = await messages.skip_data_set()
            told = commands.response(command, answer.status, answer.comment)
            await self.wire.send(command_data(context, told, self._longest))
            if not is_whole:
                await self.wire.say_last(abort(AbortReason.NOT_SPECIFIED))
                return "a refused image did not end"
            self.phase = Phase.OPEN
        await self.wire.say_last(abort(AbortReason.NOT_SPECIFIED))
        return "server stopped"

    async def _answer(
        self, messages: Messages, caller: Caller, command: Command, context: Answered
    ) -> Answer:
        if command.field == C_ECHO:
            return Answer(SUCCESS)
        if command.field != C_STORE:
            return Answer(_UNRECOGNISED_OPERATION, "only C-ECHO and C-STORE are known here")
        answer = await self._stored(messages, caller, command, context)
        metrics.STORES.labels(f"{answer.status:04X}").inc()
        return answer

    async def _stored(
        self, messages: Messages, caller: Caller, command: Command, context: Answered
    ) -> Answer:
        if not command.has_data_set:
            return Answer(NOT_UNDERSTOOD, "there is no data set")
        if command.sop_class != context.abstract or context.abstract == VERIFICATION:
            return Answer(_CLASS_NOT_HERE, "the SOP class is not that of the presentation context")
        assert self._peer is not None
        peer, cut = self._peer, self.wire.cut
        try:
            return await self.acceptor.storage.store(
                peer, caller, command, context.syntax, messages.data_set(), cut
            )
        except (Aborted, Released, Broken, Silent, Gone):
            self._tell("a pushed image broke off", what="broken off", ae=peer.settings.ae)
            raise
        except Exception as why:
            _log.error("a pushed image could not be stored", kind=type(why).__name__, ae=peer.settings.ae)
            return Answer(PROCESSING_FAILURE, "an unexpected failure; the server's log knows more")
