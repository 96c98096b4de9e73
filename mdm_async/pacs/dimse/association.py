"""One association as its acceptor sees it (PS3.8 §9.2): negotiated, served message by message, and ended."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from mdm_async.dicom.filemeta import is_uid
from mdm_async.dicom.quirks import EXPLICIT_SYNTAX, IMPLICIT_SYNTAX
from mdm_async.dicom.stored_classes import STORAGE_CLASSES, TRANSFER_SYNTAXES
from mdm_async.errors import Unauthenticated
from mdm_async.pacs.dimse import metrics, negotiation, queries
from mdm_async.pacs.dimse.association_items import APPLICATION, MOST_ASSOCIATE
from mdm_async.pacs.dimse.commands import VERIFICATION
from mdm_async.pacs.dimse.committing import COMMITMENT
from mdm_async.pacs.dimse.conversation import Conversation, Services
from mdm_async.pacs.dimse.messages import LONGEST, Aborted, Released
from mdm_async.pacs.dimse.negotiation import ACCEPTED, NOT_FOR_YOU, Answered, Request, Titles
from mdm_async.pacs.dimse.operations import BrokenOff
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
    reject,
)
from mdm_async.pacs.dimse.peers import OtherEnd, Peer, Peers
from mdm_async.pacs.dimse.reporting import Reports
from mdm_async.pacs.dimse.speaking import Speaker
from mdm_async.pacs.dimse.wire import Gone, Silent, Wire
from mdm_async.postgres.turns import on_behalf
from mdm_async.seldom import Seldom

_PLAIN_SYNTAXES: Final = (EXPLICIT_SYNTAX, IMPLICIT_SYNTAX)
"""Of identifiers."""
_BY_REASON: Final = {
    UNKNOWN_CALLING: "unknown calling AE or address",
    UNKNOWN_CALLED: "another called AE",
    UNKNOWN_APPLICATION: "another application",
    UNKNOWN_PROTOCOL: "another protocol version",
    LIMIT_REACHED: "limit reached",
}

_TOLD_CLASSES: Final = 8
_TOLD: Final = Seldom(60)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Acceptor:
    """What all associations of a listener are accepted by. `admit` counts one of a peer's, unless it is too many."""

    title: str
    peers: Peers
    services: Services
    reports: Reports
    head_seconds: float
    admit: Callable[[Peer], bool]
    dismiss: Callable[[Peer], None]


@dataclass(eq=False, slots=True)
class Association:
    """One connection. `run` ends with it."""

    acceptor: Acceptor
    wire: Wire
    end: OtherEnd
    _draining: bool = field(default=False, init=False)
    _peer: Peer | None = field(default=None, init=False)
    _conversation: Conversation | None = field(default=None, init=False)

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
        except BrokenOff:
            await self.wire.say_last(abort(AbortReason.NOT_SPECIFIED))
            how = "an image broke off"
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

    def drain(self) -> bool:
        """Let it end after the C-STORE that it is in; False when it is in none."""
        self._draining = True
        if self._conversation is None:
            return False
        self._conversation.draining = True
        return self._conversation.storing

    @property
    def source(self) -> str:
        return self.end.address

    @property
    def _title(self) -> str:
        return self._peer.title if self._peer is not None else ""

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
        peer, services = self._peer, self.acceptor.services
        answered = negotiation.answer(request, partial(_syntaxes, peer), partial(_takes, peer))
        self._tell_unanswered(answered)
        contexts = {one.id: one for one in answered if one.result == ACCEPTED}
        speaker = Speaker(self.wire, request.longest)
        reports = self.acceptor.reports
        self._conversation = Conversation(
            services, reports, peer, self.end, contexts, speaker, self._draining
        )
        on_behalf.set(peer.caller(self.source).payer.account)
        await self.wire.send(negotiation.accept(body, answered, LONGEST, request.roles))
        return await self._conversation.serve()

    def _tell_unanswered(self, answered: Sequence[Answered]) -> None:
        """Of what devices ask for that they do not get, as far as somebody here could change it."""
        if any(one.result == NOT_FOR_YOU for one in answered):
            self._tell(
                "a device may not search and retrieve here", what="no view in pacs.calling", ae=self._title
            )
        elif not any(one.result == ACCEPTED for one in answered):
            self._tell(
                "a device offers nothing that is taken",
                what="no presentation context",
                ae=self._title,
                classes=" ".join(
                    sorted({one.abstract for one in answered if is_uid(one.abstract)})[:_TOLD_CLASSES]
                ),
            )

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
        if self._draining or not self.acceptor.admit(peer):
            return LIMIT_REACHED
        self._peer = peer
        return None

    async def _refuse(self, titles: Titles, why: Rejection) -> None:
        reason = _BY_REASON[why]
        metrics.REFUSED.labels(reason).inc()
        beside = {"calling": _printable(titles.calling)}
        if why == UNKNOWN_CALLING:
            beside["because"] = self.acceptor.peers.why_not(titles.calling, self.end)
        if why == UNKNOWN_CALLED:
            beside |= {"called": _printable(titles.called), "ae_title": self.acceptor.title}
        self._tell("an association was refused", what=reason, **beside)
        if why in (UNKNOWN_CALLING, UNKNOWN_CALLED):
            error = Unauthenticated(f"an association was refused: {reason}")
            self.acceptor.services.storage.refusals.note(error, None, self.source, "associate")
        await self.wire.say_last(reject(why))


def _printable(title: str) -> str:
    return "".join(one if one.isascii() and one.isprintable() else "?" for one in title)


def syntaxes_of(abstract: str) -> Collection[str] | None:
    """The transfer syntaxes of a class that is served here; None for any other."""
    if abstract == VERIFICATION or abstract in STORAGE_CLASSES:
        return TRANSFER_SYNTAXES
    if _is_query(abstract) or abstract == COMMITMENT:
        return _PLAIN_SYNTAXES
    return None


def _syntaxes(peer: Peer, abstract: str) -> Collection[str] | None:
    """Those in which a peer is served; none where a class is not for it."""
    if _is_query(abstract) and peer.view is None:
        return ()
    if abstract == COMMITMENT and peer.landing is None:
        return ()
    return syntaxes_of(abstract)


def _is_query(abstract: str) -> bool:
    return any(abstract in model for model in (queries.FIND, queries.GET, queries.MOVE))


def _takes(peer: Peer, abstract: str) -> bool:
    """Whether the peer may be an SCP of a class here, which takes what it has asked for."""
    return peer.view is not None and abstract in STORAGE_CLASSES
