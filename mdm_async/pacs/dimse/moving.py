"""C-MOVE (PS3.4 §C.4.2): images go to an AE that the settings name, in an association of their own."""

from collections.abc import Sequence
from dataclasses import dataclass

from mdm_async.catalog.metadata.studies import Row
from mdm_async.pacs.dimse import commands
from mdm_async.pacs.dimse.association_items import MOST_CONTEXTS
from mdm_async.pacs.dimse.commands import C_STORE, RESPONSE
from mdm_async.pacs.dimse.messages import Aborted, Released
from mdm_async.pacs.dimse.pdus import AbortReason, Broken
from mdm_async.pacs.dimse.proposing import Proposed
from mdm_async.pacs.dimse.requestor import Requestor
from mdm_async.pacs.dimse.sub_operations import class_of, syntax_of
from mdm_async.pacs.dimse.taking import Lost, Sent, ways
from mdm_async.pacs.dimse.wire import Gone, Silent


def proposed(rows: Sequence[Row]) -> list[Proposed]:
    """What a destination is asked to take: each class as it is stored, in the other VR encoding, and decoded."""
    stored = dict.fromkeys((class_of(row), syntax_of(row)) for row in rows if class_of(row))
    others = {(sop_class, way): None for sop_class, syntax in stored for way in ways(syntax)}
    return [Proposed(sop_class, (syntax,)) for sop_class, syntax in stored | others][:MOST_CONTEXTS]


@dataclass(slots=True)
class Destination:
    """The other end of an association. `mover`, `mover_id`: AE title and message ID of the C-MOVE."""

    requestor: Requestor
    mover: str
    mover_id: int

    def way(self, sop_class: str, stored: str) -> tuple[int, str] | None:
        for syntax in ways(stored):
            context = self.requestor.context(sop_class, syntax)
            if context is not None:
                return context.id, syntax
        return None

    async def take(self, sent: Sent) -> int:
        """Raises Lost."""
        id_ = self.requestor.next_id()
        request = commands.store_request(
            id_, sent.sop_class, sent.instance, mover=self.mover, mover_id=self.mover_id
        )
        context = next(one for one in self.requestor.agreed.contexts if one.id == sent.context)
        try:
            await self.requestor.send(context, request, sent.data_set)
            _, answer = await self.requestor.receive()
            if answer.field != C_STORE | RESPONSE or answer.answered != id_ or answer.has_data_set:
                raise Broken(AbortReason.UNEXPECTED_PARAMETER, "something else than the answer to a C-STORE")
        except (Aborted, Released, Broken, Silent, Gone) as why:
            raise Lost from why
        return answer.status

    def cut(self) -> None:
        self.requestor.wire.cut()
