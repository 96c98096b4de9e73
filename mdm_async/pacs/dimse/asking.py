"""Queries and retrievals, from the identifier to the last answer; what was wrong with one is told in the log."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from mdm_async.auditing.refusals import Refusals
from mdm_async.dicom.elements import Encoding
from mdm_async.errors import MdmError, NotFound, TooLarge, TooManyRequests
from mdm_async.names import Caller, View
from mdm_async.pacs.dimse import queries
from mdm_async.pacs.dimse.answers import NOT_COUNTED, NOT_PERFORMED, UNFIT, Answer, Tell, of_query
from mdm_async.pacs.dimse.commands import C_FIND, C_GET, Command, Counts
from mdm_async.pacs.dimse.finding import Finding
from mdm_async.pacs.dimse.getting import SameAssociation
from mdm_async.pacs.dimse.messages import Messages
from mdm_async.pacs.dimse.negotiation import Answered
from mdm_async.pacs.dimse.operations import Operation
from mdm_async.pacs.dimse.peers import Peer
from mdm_async.pacs.dimse.queries import Root, Unfit
from mdm_async.pacs.dimse.shown import Shown
from mdm_async.pacs.dimse.speaking import Speaker
from mdm_async.pacs.dimse.sub_operations import Sending
from mdm_async.pacs.statuses import CLASS_NOT_SUPPORTED, NOT_AUTHORISED, SUCCESS
from mdm_async.seldom import Seldom

MOST_IDENTIFIER: Final = 64 << 10
"""Bytes; real ones have a few hundred, or a list of UIDs."""

_TOLD: Final = Seldom(60)
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Asking:
    """One request of a peer's. `encoding`: of its identifier, and of those in the answers."""

    shown: Shown
    refusals: Refusals
    peer: Peer
    caller: Caller
    encoding: Encoding
    messages: Messages
    tell: Tell

    async def answer(self, command: Command, contexts: Sequence[Answered], speaker: Speaker) -> Answer:
        """The last one. `contexts`: by which the peer takes images. Raises as `Operation.attend`."""
        model = queries.FIND if command.field == C_FIND else queries.GET
        root, view = model.get(command.sop_class), self.peer.view
        if root is None:
            return Answer(CLASS_NOT_SUPPORTED, "the SOP class is not that of the operation")
        if view is None:
            return Answer(NOT_AUTHORISED, "this AE has no view")
        operation = Operation(self.messages, command)
        try:
            identifier = await self._identifier()
            if command.field == C_FIND:
                return await self._find(operation, root, view, identifier)
            return await self._get(
                operation, root, view, identifier, SameAssociation(contexts, speaker, operation)
            )
        except Unfit as why:
            self._note(command, str(why))
            return Answer(UNFIT, str(why))
        except MdmError as why:
            if why.is_refusal or why.refusal is not None:
                self.refusals.note(why, self.caller, self.caller.source, _NAMES[command.field])
            elif not isinstance(why, NotFound):
                self._note(command, why.detail)
            return of_query(why) if command.field == C_FIND else _of_retrieval(why)

    async def _identifier(self) -> bytes:
        """Raises Unfit."""
        whole = bytearray()
        async for chunk in self.messages.data_set():
            whole += chunk
            if len(whole) > MOST_IDENTIFIER:
                raise Unfit(f"the identifier has more than {MOST_IDENTIFIER >> 10} KiB")
        return bytes(whole)

    async def _find(self, operation: Operation, root: Root, view: View, identifier: bytes) -> Answer:
        query = queries.parse(root, identifier, self.encoding)
        finding = Finding(self.shown, self.caller, view, self.encoding)
        return await operation.attend(finding.find(query, operation, self.tell))

    async def _get(
        self, operation: Operation, root: Root, view: View, identifier: bytes, taker: SameAssociation
    ) -> Answer:
        conditions = queries.retrieved(root, identifier, self.encoding)
        sending = Sending(self.shown, self.caller, view, self.peer.title, self.encoding)
        rows = await operation.attend(sending.found(conditions))
        return await operation.attend(sending.send(rows, taker, operation, self.tell))

    def _note(self, command: Command, why: str) -> None:
        ae = self.peer.title
        if (unsaid := _TOLD.tell(f"{ae} {why}")) is not None:
            what = _NAMES[command.field]
            _log.warning("a query could not be answered", request=what, ae=ae, reason=why, **unsaid)


def _of_retrieval(why: MdmError) -> Answer:
    found = of_query(why)
    if isinstance(why, TooLarge):
        return found._replace(status=NOT_COUNTED)
    if isinstance(why, TooManyRequests):
        return found._replace(status=NOT_PERFORMED)
    return found._replace(counts=Counts(None, 0, 0, 0)) if found.status == SUCCESS else found


_NAMES: Final = {C_FIND: "C-FIND", C_GET: "C-GET"}
