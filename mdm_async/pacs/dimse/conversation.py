"""What is said in an association, message by message: requests of the peer's, and their answers."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from mdm_async.dicom.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding
from mdm_async.dicom.quirks import IMPLICIT_SYNTAX
from mdm_async.errors import MdmError, TooManyRequests, Unavailable
from mdm_async.names import Caller
from mdm_async.pacs.dimse import commands, metrics
from mdm_async.pacs.dimse.answers import RESOURCE_LIMITATION, UNRECOGNISED_OPERATION, Answer, Unfit
from mdm_async.pacs.dimse.asking import Asking
from mdm_async.pacs.dimse.awaited import Awaited
from mdm_async.pacs.dimse.commands import (
    C_CANCEL,
    C_ECHO,
    C_FIND,
    C_GET,
    C_MOVE,
    C_STORE,
    N_ACTION,
    N_EVENT_REPORT,
    RESPONSE,
    VERIFICATION,
    Command,
)
from mdm_async.pacs.dimse.committing import (
    COMMITMENT,
    INSTANCE,
    MOST_REQUEST,
    NO_SUCH_ACTION,
    NO_SUCH_INSTANCE,
    REQUEST,
    Commitment,
)
from mdm_async.pacs.dimse.messages import Aborted, Messages, Released
from mdm_async.pacs.dimse.negotiation import Answered
from mdm_async.pacs.dimse.operations import BrokenOff, whole_data_set
from mdm_async.pacs.dimse.pdus import AbortReason, Broken, abort
from mdm_async.pacs.dimse.peers import OtherEnd, Peer
from mdm_async.pacs.dimse.reporting import Reports, event_report
from mdm_async.pacs.dimse.shown import Shown
from mdm_async.pacs.dimse.speaking import Speaker, whole
from mdm_async.pacs.dimse.storing import Storage
from mdm_async.pacs.dimse.wire import Gone, Silent
from mdm_async.pacs.statuses import (
    CLASS_NOT_SUPPORTED,
    NOT_AUTHORISED,
    NOT_UNDERSTOOD,
    PROCESSING_FAILURE,
    SUCCESS,
)
from mdm_async.seldom import Seldom

_ENDS: Final = (Aborted, Released, Broken, BrokenOff, Silent, Gone)
"""What ends the association, whatever was asked."""

Afterwards = Callable[[], Awaitable[None]]

_IDS: Final = 0xFFFF
"""Message IDs that there are; then they begin anew."""

_TOLD: Final = Seldom(60)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """What is asked of a listener, by whichever peer."""

    storage: Storage
    shown: Shown
    commitment: Commitment
    awaited: Awaited


@dataclass(eq=False, slots=True)
class Conversation:
    """Of one association, which was accepted with these contexts. Once `draining`, it ends after the C-STORE that it
    is in."""

    services: Services
    reports: Reports
    peer: Peer
    end: OtherEnd
    contexts: dict[int, Answered]
    speaker: Speaker
    draining: bool = False
    storing: bool = field(default=False, init=False)
    """A C-STORE has begun and is not answered."""
    _messages: Messages = field(init=False)
    _afterwards: Afterwards | None = field(default=None, init=False)
    _last_id: int = field(default=0, init=False)
    _told: dict[int, tuple[int, Answered]] = field(default_factory=dict, init=False)
    """Reports that the peer has not answered, and their contexts, by the ids of their messages."""

    def __post_init__(self) -> None:
        self._messages = Messages(self.speaker.wire)

    async def serve(self) -> str:
        """How it ended. Raises as `Messages.command`."""
        wire, messages = self.speaker.wire, self._messages
        while not self.draining:
            context, command = await messages.command()
            answered = self.contexts.get(context)
            if answered is None:
                raise Broken(AbortReason.INVALID_PARAMETER, "a presentation context that was not accepted")
            if command.field == C_CANCEL:
                continue
            if command.field == N_EVENT_REPORT | RESPONSE and command.answered in self._told:
                await messages.skip_data_set()
                await self._heard(*self._told.pop(command.answered), command.status)
                continue
            if command.field & RESPONSE:
                raise Broken(AbortReason.UNEXPECTED_PARAMETER, "an answer to no request")
            self.storing = command.field == C_STORE
            answer = await self._answer(command, answered)
            is_whole = await messages.skip_data_set()
            await self._say(context, command, answer)
            if not is_whole:
                await wire.say_last(abort(AbortReason.NOT_SPECIFIED))
                return "a refused message did not end"
            self.storing = False
            if self._afterwards is not None:
                afterwards, self._afterwards = self._afterwards, None
                await afterwards()
        await wire.say_last(abort(AbortReason.NOT_SPECIFIED))
        return "server stopped"

    async def _say(self, context: int, command: Command, answer: Answer) -> None:
        has = bool(answer.data_set)
        said = commands.response(
            command, answer.status, answer.comment, counts=answer.counts, has_data_set=has
        )
        await self.speaker.say(context, said, whole(answer.data_set) if has else None)

    @property
    def _caller(self) -> Caller:
        """As whom the peer asks at this moment."""
        return self.services.shown.mapped(self.peer.caller(self.end.address))

    async def _answer(self, command: Command, context: Answered) -> Answer:
        if command.field == C_ECHO:
            return Answer(SUCCESS)
        if command.field == C_STORE:
            answer = await self._guarded(command, context)
            metrics.STORES.labels(f"{answer.status:04X}").inc()
            return answer
        if command.field not in _NAMES:
            return Answer(UNRECOGNISED_OPERATION, "there is no such operation here")
        answer = await self._guarded(command, context)
        metrics.QUERIES.labels(_NAMES[command.field], f"{answer.status:04X}").inc()
        return answer

    async def _guarded(self, command: Command, context: Answered) -> Answer:
        """Whatever else goes wrong is a status."""
        if not command.has_data_set:
            return Answer(NOT_UNDERSTOOD, "there is no data set")
        if command.sop_class != context.abstract or context.abstract == VERIFICATION:
            return Answer(CLASS_NOT_SUPPORTED, "the SOP class is not that of the presentation context")
        ae = self.peer.title
        try:
            if command.field == C_STORE:
                return await self._stored(command, context)
            if command.field == N_ACTION:
                return await self._acted(command, context)
            return await self._asked(command, context)
        except _ENDS:
            if (unsaid := _TOLD.tell(f"broken off {ae}")) is not None:
                what = _NAMES[command.field]
                _log.warning(
                    "a request of a device broke off", request=what, ae=ae, source=self.end.address, **unsaid
                )
            raise
        except Exception as why:
            # The type only: a message could hold what a file held.
            kind, what = type(why).__name__, _NAMES[command.field]
            _log.error("a device's request failed unexpectedly", request=what, kind=kind, ae=ae)
            return Answer(PROCESSING_FAILURE, "an unexpected failure; the server's log knows more")

    async def _stored(self, command: Command, context: Answered) -> Answer:
        if self.services.awaited.has_asked_for(command):
            return await self._moved(command, context)
        if self.peer.landing is None:
            return Answer(NOT_AUTHORISED, "only images that this server asks for are taken from here")
        storage, data_set = self.services.storage, self._messages.data_set()
        cut = self.speaker.wire.cut
        return await storage.store(self.peer, self._caller, command, context.syntax, data_set, cut)

    async def _moved(self, command: Command, context: Answered) -> Answer:
        """What a C-MOVE of this server's has caused goes to who waits for it, and nowhere else."""
        arrival = self.services.awaited.find(self.peer.title, self.end, command)
        if arrival is None:
            return Answer(NOT_AUTHORISED, "nobody waits for this image")
        if await arrival.deliver(command, context.syntax, self._messages.data_set()):
            return Answer(SUCCESS)
        return Answer(PROCESSING_FAILURE, "the image was not taken to its end")

    async def _asked(self, command: Command, context: Answered) -> Answer:
        async def tell(answer: Answer) -> None:
            await self._say(context.id, command, answer)

        encoding = _encoding(context)
        refusals, back = self.services.storage.refusals, self.reports.back
        asking = Asking(
            self.services.shown, back, refusals, self.peer, self._caller, encoding, self._messages, tell
        )
        taken = [one for one in self.contexts.values() if one.takes]
        return await asking.answer(command, taken, self.speaker)

    async def _acted(self, command: Command, context: Answered) -> Answer:
        """A request for storage commitment, which is reported of once it is answered."""
        if context.abstract != COMMITMENT:
            return Answer(CLASS_NOT_SUPPORTED, "the SOP class has no actions")
        if command.instance != INSTANCE:
            return Answer(NO_SUCH_INSTANCE, "commitment is asked of the well-known instance")
        if command.action != REQUEST:
            return Answer(NO_SUCH_ACTION, "there is no such action")
        peer = self.peer
        if peer.landing is None:
            return Answer(NOT_AUTHORISED, "nothing lands here of this AE")
        try:
            data = await whole_data_set(self._messages, MOST_REQUEST, RESOURCE_LIMITATION)
            asked = await self.services.commitment.parse(data, _encoding(context))
            kept = await self.reports.keep(peer, self.end.address, asked)
        except Unfit as why:
            self._tell("a request for storage commitment was refused", str(why))
            return Answer(why.status, str(why))
        except (TooManyRequests, Unavailable) as why:
            self._tell("a request for storage commitment was refused", why.detail)
            return Answer(RESOURCE_LIMITATION, why.detail)
        is_called = self.reports.back.address(peer) is not None
        self._afterwards = (
            partial(self.reports.answered, kept) if is_called else partial(self._report_here, context)
        )
        return Answer(SUCCESS)

    async def _report_here(self, context: Answered) -> None:
        """A report that the peer, which has no port, is owed; the next once it is answered."""
        try:
            waits = await self.reports.next_here(self.peer)
        except MdmError as why:
            self._tell("storage commitment could not be reported", why.detail)
            return
        if waits is None:
            return
        id_, report = waits
        self._last_id = self._last_id % _IDS + 1
        self._told[self._last_id] = id_, context
        data_set = whole(report.data_set(_encoding(context)))
        await self.speaker.say(context.id, event_report(self._last_id, report), data_set)

    async def _heard(self, report: int, context: Answered, status: int) -> None:
        """The peer has answered a report, and gets the next that waits."""
        try:
            await self.reports.told(self.peer, report, status)
        except Unavailable as why:
            self._tell("storage commitment could not be reported", why.detail)
            return
        await self._report_here(context)

    def _tell(self, event: str, reason: str) -> None:
        ae = self.peer.title
        if (unsaid := _TOLD.tell(f"{ae} {reason}")) is not None:
            _log.warning(event, ae=ae, reason=reason, **unsaid)


def _encoding(context: Answered) -> Encoding:
    """Of data sets in it that are no images."""
    return IMPLICIT_LITTLE if context.syntax == IMPLICIT_SYNTAX else EXPLICIT_LITTLE


_NAMES: Final = {C_STORE: "C-STORE", C_FIND: "C-FIND", C_GET: "C-GET", C_MOVE: "C-MOVE", N_ACTION: "N-ACTION"}
