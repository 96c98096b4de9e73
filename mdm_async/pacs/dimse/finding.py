"""C-FIND (PS3.4 §C.4.1): what matches, of what the peer's principal may see in the peer's view."""

import asyncio
from dataclasses import dataclass

from mdm_async.catalog.metadata.studies import Rows
from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.indexed import Level
from mdm_async.images.budget import Held
from mdm_async.images.studies import searching
from mdm_async.images.studies.asked import Asked, Uids
from mdm_async.names import Caller, View
from mdm_async.pacs.dimse import queries
from mdm_async.pacs.dimse.answers import CANCELLED, PENDING, PENDING_IGNORED, Answer, Tell
from mdm_async.pacs.dimse.operations import Operation
from mdm_async.pacs.dimse.queries import ISSUER, PATIENT, Query
from mdm_async.pacs.dimse.shown import Shown
from mdm_async.pacs.statuses import OUT_OF_RESOURCES, SUCCESS


@dataclass(frozen=True, slots=True)
class Finding:
    """Of one caller in one view. `encoding`: that answers are written in."""

    shown: Shown
    caller: Caller
    view: View
    encoding: Encoding

    async def find(self, query: Query, operation: Operation, tell: Tell) -> Answer:
        """Tells each that matches; returns the last answer. Raises MdmError as `searching.search`."""
        with self.shown.budget.holding(self.caller.payer) as held:
            found = await self._found(query, held)
            status = PENDING_IGNORED if query.ignored else PENDING
            for rows in queries.together(query, found.rows):
                # Others have their turn, and what the peer says meanwhile is heard.
                await asyncio.sleep(0)
                if operation.cancelled:
                    return Answer(CANCELLED)
                said = queries.told(query, rows, self.shown.title, self.encoding)
                await tell(Answer(status, data_set=said))
        if found.cut or found.more:
            return Answer(OUT_OF_RESOURCES, "there is more: ask for less at once")
        return Answer(SUCCESS)

    async def _found(self, query: Query, held: Held) -> Rows:
        each = searching.weight(query.told)
        limit = max(1, searching.HELD // each)
        told = tuple(dict.fromkeys((*query.told, PATIENT, ISSUER)))
        asked = Asked(query.searched, Uids(), query.matching, None, self.view, limit=limit, told=told)
        turns, payer = self.shown.turns, self.caller.payer
        with turns.serving(payer):
            async with turns.turn(payer, searching.WEIGHT):
                # Not before its turn: those who wait hold nothing.
                held.grow_to(each * limit)
                found = await searching.search(self.shown.desk, self.caller, asked)
                held.shrink_to(each * len(found.rows))
        # A patient's studies may be among those that are not told.
        return searching.uncounted(found) if found.more and query.level is Level.PATIENT else found
