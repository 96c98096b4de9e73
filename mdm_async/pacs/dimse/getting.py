"""C-GET (PS3.4 §C.4.3): images go to whoever asked for them, in the same association."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from mdm_async.pacs.dimse import commands, taking
from mdm_async.pacs.dimse.negotiation import Answered
from mdm_async.pacs.dimse.operations import Operation
from mdm_async.pacs.dimse.speaking import Speaker
from mdm_async.pacs.dimse.taking import Sent

_MOST_ID = 0xFFFF


@dataclass(slots=True)
class SameAssociation:
    """The peer of an operation. `contexts`: by which it takes images."""

    contexts: Sequence[Answered]
    speaker: Speaker
    operation: Operation
    _last: int = field(default=0, init=False)

    def way(self, sop_class: str, stored: str) -> tuple[int, str] | None:
        return taking.way(self.contexts, sop_class, stored)

    async def take(self, sent: Sent) -> int:
        """Raises Silent, Gone."""
        self._last = self._last % _MOST_ID + 1
        awaited = self.operation.await_answer(self._last)
        request = commands.store_request(self._last, sent.sop_class, sent.instance)
        await self.speaker.say(sent.context, request, sent.data_set)
        return await self.operation.answered(awaited)

    def cut(self) -> None:
        self.speaker.wire.cut()
