"""Queries and retrievals, from the identifier to the last answer; what was wrong with one is told in the log."""

from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final

import structlog

from mdm_async.auditing.refusals import Refusals
from mdm_async.dicom.elements import Encoding
from mdm_async.errors import MdmError, NotFound, TooLarge, TooManyRequests
from mdm_async.names import Caller, View
from mdm_async.pacs.dimse import moving, queries
from mdm_async.pacs.dimse.answers import (
    NOT_COUNTED,
    NOT_PERFORMED,
    UNKNOWN_DESTINATION,
    Answer,
    Tell,
    Unfit,
    of_query,
)
from mdm_async.pacs.dimse.calling_back import CallingBack
from mdm_async.pacs.dimse.commands import C_FIND, C_GET, C_MOVE, Command, Counts
from mdm_async.pacs.dimse.finding import Finding
from mdm_async.pacs.dimse.getting import SameAssociation
from mdm_async.pacs.dimse.messages import Messages
from mdm_async.pacs.dimse.moving import Destination
from mdm_async.pacs.dimse.negotiation import Answered
from mdm_async.pacs.dimse.operations import Operation, whole_data_set
from mdm_async.pacs.dimse.pdus import Broken
from mdm_async.pacs.dimse.peers import Peer
from mdm_async.pacs.dimse.queries import Root
from mdm_async.pacs.dimse.requestor import NoAssociation, associated
from mdm_async.pacs.dimse.shown import Shown
from mdm_async.pacs.dimse.speaking import Speaker
from mdm_async.pacs.dimse.sub_operations import Sending, none_sent
from mdm_async.pacs.dimse.wire import Gone, Silent
from mdm_async.pacs.statuses import CLASS_NOT_SUPPORTED, NOT_AUTHORISED, SUCCESS
from mdm_async.querying.conditions import Condition
from mdm_async.seldom import Seldom

MOST_IDENTIFIER: Final = 64 << 10
"""Bytes; real ones have a few hundred, or a list of UIDs."""

_TOLD: Final = Seldom(60)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Asking:
    """One request of a peer's. `encoding`: of its identifier, and of those in the answers."""

    shown: Shown
    back: CallingBack
    refusals: Refusals
    peer: Peer
    caller: Caller
    encoding: Encoding
    messages: Messages
    tell: Tell

    async def answer(self, command: Command, contexts: Sequence[Answered], speaker: Speaker) -> Answer:
        """The last one. `contexts`: by which the peer takes images. Raises as `Operation.attend`."""
        root, view = _MODELS[command.field].get(command.sop_class), self.peer.view
        if root is None:
            return Answer(CLASS_NOT_SUPPORTED, "the SOP class is not that of the operation")
        if view is None:
            return Answer(NOT_AUTHORISED, "this AE has no view")
        operation = Operation(self.messages, command)
        try:
            identifier = await whole_data_set(self.messages, MOST_IDENTIFIER)
            if command.field == C_FIND:
                return await self._find(operation, root, view, identifier)
            conditions = queries.retrieved(root, identifier, self.encoding)
            if command.field == C_MOVE:
                return await operation.attend(self._move(operation, view, conditions))
            taker = SameAssociation(contexts, speaker, operation)
            return await operation.attend(self._get(operation, view, conditions, taker))
        except Unfit as why:
            self._note(command, str(why))
            return Answer(why.status, str(why))
        except MdmError as why:
            if why.is_refusal or why.refusal is not None:
                self.refusals.note(why, self.caller, self.caller.source, _NAMES[command.field])
            elif not isinstance(why, NotFound):
                self._note(command, why.detail)
            return of_query(why) if command.field == C_FIND else _of_retrieval(why)

    async def _find(self, operation: Operation, root: Root, view: View, identifier: bytes) -> Answer:
        query = queries.parse(root, identifier, self.encoding)
        finding = Finding(self.shown, self.caller, view, self.encoding)
        return await operation.attend(finding.find(query, operation, self.tell))

    async def _get(
        self, operation: Operation, view: View, conditions: Sequence[Condition], taker: SameAssociation
    ) -> Answer:
        sending = self._sending(view, self.caller.source)
        return await sending.send(await sending.found(conditions), taker, operation, self.tell)

    async def _move(self, operation: Operation, view: View, conditions: Sequence[Condition]) -> Answer:
        destination = self.back.destination(operation.request.destination)
        if destination is None:
            raise Unfit(
                "no AE of the Move Destination's title has a port in pacs.calling", UNKNOWN_DESTINATION
            )
        address = self.back.address(destination)
        if address is None or not self.back.may_have(destination, view):
            raise Unfit(
                "the Move Destination may not have identities: it shows no certificate", UNKNOWN_DESTINATION
            )
        sending = self._sending(view, address.host)
        rows = await sending.found(conditions)
        if not (proposed := moving.proposed(rows)):
            return none_sent(rows, "the images do not say of which SOP class they are", self.encoding)
        async with AsyncExitStack() as stack:
            try:
                asked = associated(address, proposed, self.back.patience)
                requestor = await stack.enter_async_context(asked)
            except (NoAssociation, Broken, Silent, Gone) as why:
                reason = str(why) or "breaks off"
                cause = f": {why.cause}" if isinstance(why, NoAssociation) and why.cause else ""
                self._note(operation.request, f"the destination {reason}{cause}", destination=address.title)
                return none_sent(rows, f"{address.title} {reason}", self.encoding)
            taker = Destination(requestor, self.peer.title, operation.request.id)
            return await sending.send(rows, taker, operation, self.tell)

    def _sending(self, view: View, to: str) -> Sending:
        return Sending(self.shown, self.caller, view, self.peer.title, to, self.encoding)

    def _note(self, command: Command, why: str, **beside: str) -> None:
        ae = self.peer.title
        if (unsaid := _TOLD.tell(f"{ae} {why}")) is not None:
            what = _NAMES[command.field]
            _log.warning("a query could not be answered", request=what, ae=ae, reason=why, **beside, **unsaid)


def _of_retrieval(why: MdmError) -> Answer:
    found = of_query(why)
    if isinstance(why, TooLarge):
        return found._replace(status=NOT_COUNTED)
    if isinstance(why, TooManyRequests):
        return found._replace(status=NOT_PERFORMED)
    return found._replace(counts=Counts(None, 0, 0, 0)) if found.status == SUCCESS else found


_NAMES: Final = {C_FIND: "C-FIND", C_GET: "C-GET", C_MOVE: "C-MOVE"}
_MODELS: Final = {C_FIND: queries.FIND, C_GET: queries.GET, C_MOVE: queries.MOVE}
