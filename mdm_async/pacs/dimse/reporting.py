"""Reports of storage commitment on their way to devices that have a port: tried a few times, and told when given up."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import structlog

from mdm_async.dicom.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from mdm_async.dicom.quirks import EXPLICIT_SYNTAX, IMPLICIT_SYNTAX
from mdm_async.errors import MdmError, TooManyRequests
from mdm_async.pacs.dimse import commands, metrics
from mdm_async.pacs.dimse.calling_back import CallingBack
from mdm_async.pacs.dimse.commands import EVENT, N_EVENT_REPORT, RESPONSE
from mdm_async.pacs.dimse.committing import COMMITMENT, INSTANCE, Report
from mdm_async.pacs.dimse.messages import Aborted, Released
from mdm_async.pacs.dimse.pdus import AbortReason, Broken
from mdm_async.pacs.dimse.peers import Peer
from mdm_async.pacs.dimse.proposing import Context, Proposed
from mdm_async.pacs.dimse.requestor import CalledPeer, NoAssociation, Requestor, associated
from mdm_async.pacs.dimse.speaking import whole
from mdm_async.pacs.dimse.wire import Gone, Silent

_WAITS: Final = (0.0, 5.0, 30.0, 120.0, 600.0)
"""Seconds before each attempt."""
_MOST, _EACH = 64, 16
"""On their way at once: in all, and to one device."""
_MOST_REPLY: Final = 64 << 10
"""Bytes of what may stand beside an answer."""
_AT_ONCE: Final = 4
"""Associations."""

_log = structlog.get_logger()
Making = Callable[[], Awaitable[Report]]


@dataclass(eq=False, slots=True)
class Reports:
    """Of one listener, while its context is open; what is on its way at its end is lost, and the device asks again."""

    back: CallingBack
    _tasks: dict[asyncio.Task[None], Peer] = field(default_factory=dict, init=False)
    _places: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            if self._tasks:
                _log.warning("reports of storage commitment were not delivered", count=len(self._tasks))
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def demand_place(self, peer: Peer) -> None:
        """Raises TooManyRequests where another report to a device would be too many."""
        if len(self._tasks) >= _MOST or Counter(self._tasks.values())[peer] >= _EACH:
            raise TooManyRequests("as many reports are on their way as there may be")

    async def send(self, peer: Peer, address: CalledPeer, make: Making) -> None:
        """Make a report and deliver it, meanwhile and later."""
        task = asyncio.get_running_loop().create_task(self._deliver(peer, address, make))
        self._tasks[task] = peer
        task.add_done_callback(self._tasks.pop)

    async def _deliver(self, peer: Peer, address: CalledPeer, make: Making) -> None:
        report, reason = None, ""
        for wait in _WAITS:
            await asyncio.sleep(wait)
            try:
                report = report or await make()
                async with self._places:
                    status = await self._said(address, report)
                metrics.REPORTS.labels("delivered" if status == 0 else "refused").inc()
                if status:
                    refused = {"ae": peer.title, "status": f"{status:04X}"}
                    _log.warning("a device did not take a report of storage commitment", **refused)
                return
            except (NoAssociation, Broken, MdmError) as why:
                reason = str(why)
            except (Aborted, Released, Silent, Gone):
                reason = "breaks off"
            except Exception as why:
                # The type only: a message could hold what a file held.
                reason = type(why).__name__
        metrics.REPORTS.labels("given up").inc()
        _log.error("a report of storage commitment was given up", ae=peer.title, reason=reason)

    async def _said(self, address: CalledPeer, report: Report) -> int:
        """The status that it is answered with."""
        # Some agree to no roles, and take reports all the same.
        for scp in (True, False):
            wanted = [Proposed(COMMITMENT, (EXPLICIT_SYNTAX, IMPLICIT_SYNTAX), scp)]
            async with associated(address, wanted, self.back.patience) as requestor:
                context = requestor.context(COMMITMENT)
                if context is not None:
                    return await _told(requestor, context, report)
        raise Broken(AbortReason.NOT_SPECIFIED, "takes no reports of storage commitment")


async def _told(requestor: Requestor, context: Context, report: Report) -> int:
    encoding = IMPLICIT_LITTLE if context.syntax == IMPLICIT_SYNTAX else EXPLICIT_LITTLE
    id_ = requestor.next_id()
    await requestor.send(context, event_report(id_, report), whole(report.data_set(encoding)))
    _, answer = await requestor.receive()
    if answer.field != N_EVENT_REPORT | RESPONSE or answer.answered != id_:
        raise Broken(AbortReason.UNEXPECTED_PARAMETER, "answers something else")
    if answer.has_data_set:
        await requestor.whole_data_set(_MOST_REPLY)
    return answer.status


def event_report(id_: int, report: Report) -> bytes:
    """The command of an N-EVENT-REPORT."""
    more = {EVENT: report.event}
    return commands.request(N_EVENT_REPORT, id_, COMMITMENT, instance=INSTANCE, has_data_set=True, more=more)
