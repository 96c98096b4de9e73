"""What is said in an association, message by message: requests of the peer's, and their answers."""

from dataclasses import dataclass, field
from typing import Final

import structlog

from mdm_async.dicom.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from mdm_async.dicom.quirks import IMPLICIT_SYNTAX
from mdm_async.names import Caller
from mdm_async.pacs.dimse import commands, metrics
from mdm_async.pacs.dimse.answers import UNRECOGNISED_OPERATION, Answer
from mdm_async.pacs.dimse.asking import Asking
from mdm_async.pacs.dimse.awaited import Awaited
from mdm_async.pacs.dimse.commands import (
    C_CANCEL,
    C_ECHO,
    C_FIND,
    C_GET,
    C_STORE,
    RESPONSE,
    VERIFICATION,
    Command,
)
from mdm_async.pacs.dimse.messages import Aborted, Messages, Released
from mdm_async.pacs.dimse.negotiation import Answered
from mdm_async.pacs.dimse.operations import BrokenOff
from mdm_async.pacs.dimse.pdus import AbortReason, Broken, abort
from mdm_async.pacs.dimse.peers import OtherEnd, Peer
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

_TOLD: Final = Seldom(60)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Services:
    """What is asked of a listener, by whichever peer."""

    storage: Storage
    shown: Shown
    awaited: Awaited


@dataclass(eq=False, slots=True)
class Conversation:
    """Of one association, which was accepted with these contexts. Once `draining`, it ends after the C-STORE that it
    is in."""

    services: Services
    peer: Peer
    end: OtherEnd
    contexts: dict[int, Answered]
    speaker: Speaker
    draining: bool = False
    storing: bool = field(default=False, init=False)
    """A C-STORE has begun and is not answered."""
    _messages: Messages = field(init=False)

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
        if command.field not in (C_FIND, C_GET):
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

        encoding = IMPLICIT_LITTLE if context.syntax == IMPLICIT_SYNTAX else EXPLICIT_LITTLE
        refusals = self.services.storage.refusals
        asking = Asking(
            self.services.shown, refusals, self.peer, self._caller, encoding, self._messages, tell
        )
        taken = [one for one in self.contexts.values() if one.takes]
        return await asking.answer(command, taken, self.speaker)


_NAMES: Final = {C_STORE: "C-STORE", C_FIND: "C-FIND", C_GET: "C-GET"}
