"""Reports of storage commitment: kept in the catalog from the request on, and told until the device has taken them.

To a device's own port, tried again later each time; or in an association of the device's, when it has asked for
another in it. What stops or is killed meanwhile forgets none of them.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import structlog

from mdm_async.catalog.work import reports_to_send
from mdm_async.catalog.work.queue import Row
from mdm_async.catalog.work.reports_to_send import REPORTS_TO_SEND, Device
from mdm_async.dicom.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from mdm_async.dicom.quirks import EXPLICIT_SYNTAX, IMPLICIT_SYNTAX
from mdm_async.errors import Gone as NoMore
from mdm_async.errors import PeerFailed, TooManyRequests, Unavailable
from mdm_async.images.several import several_at_once
from mdm_async.images.shift import Shift, over_and_over
from mdm_async.names import Caller
from mdm_async.pacs.dimse import commands, metrics
from mdm_async.pacs.dimse.calling_back import CallingBack
from mdm_async.pacs.dimse.commands import EVENT, N_EVENT_REPORT, RESPONSE
from mdm_async.pacs.dimse.committing import COMMITMENT, INSTANCE, Asked, Commitment, Report
from mdm_async.pacs.dimse.messages import Aborted, Released
from mdm_async.pacs.dimse.pdus import AbortReason, Broken
from mdm_async.pacs.dimse.peers import Peer
from mdm_async.pacs.dimse.proposing import Context, Proposed
from mdm_async.pacs.dimse.requestor import CalledPeer, NoAssociation, Requestor, associated
from mdm_async.pacs.dimse.speaking import whole
from mdm_async.pacs.dimse.wire import Gone, Silent
from mdm_async.postgres.database import Database

_EACH: Final = 256
_EACH_BYTES: Final = 8 << 20
"""Of one device, as they are kept."""
_MOST_REPLY: Final = 64 << 10
"""Bytes of what may stand beside an answer."""
_AT_ONCE: Final = 4
"""Associations."""
_LOOK: Final = 5.0
"""Seconds between looks for what is due, and what is too old."""
_AWAY: Final = 60.0
"""Seconds in which a device that did not take one report is not called for its others."""

_log = structlog.get_logger()


@dataclass(eq=False, slots=True)
class Reports:
    """Of one listener. `mapped`: a caller with the groups that the mapping file gives; `hours`: how old they may be."""

    back: CallingBack
    commitment: Commitment
    mapped: Callable[[Caller], Caller]
    node: str
    hours: float
    _more: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _away_until: dict[Peer, float] = field(default_factory=dict, init=False)

    @property
    def _database(self) -> Database:
        return self.commitment.database

    async def keep(self, peer: Peer, source: str, asked: Asked) -> int:
        """A request whose report is owed from now on. Raises TooManyRequests, Unavailable."""
        sealed, called = await self.commitment.sealed(asked), self.back.address(peer) is not None
        async with self._database.transaction() as db:
            device = Device(peer.title, source)
            kept = await reports_to_send.add(
                db, device, sealed, called=called, most=_EACH, most_bytes=_EACH_BYTES
            )
        if kept is None:
            raise TooManyRequests("as many reports wait to be taken as there may be")
        return kept

    async def answered(self, id_: int) -> None:
        """The request is: it may be reported of to the device's port."""
        with suppress(Unavailable):
            async with self._database.acquire() as db:
                await reports_to_send.answered(db, id_)
        self._more.set()

    async def next_here(self, peer: Peer) -> tuple[int, Report] | None:
        """What a device without a port is owed, for the association that it has now; the newest first. Raises
        Unavailable, TooManyRequests."""
        async with self._database.acquire() as db:
            waiting = await reports_to_send.waiting(db, peer.title, _EACH)
            own = next((one for one in waiting if peer.calls_from(one.source)), None)
            wanted = await reports_to_send.wanted(db, own.id) if own is not None else None
        if own is None or wanted is None:
            return None
        report = await self._made(peer, wanted.source, wanted.asked)
        async with self._database.acquire() as db:
            taken = await reports_to_send.take(db, own.id)
        return (own.id, report) if taken else None

    async def told(self, peer: Peer, id_: int, status: int) -> None:
        """The device has answered a report. Raises Unavailable; it is told again then."""
        async with self._database.acquire() as db:
            await reports_to_send.done(db, id_)
        metrics.REPORTS.labels("refused" if status else "delivered").inc()
        if status:
            refused = {"ae": peer.title, "status": f"{status:04X}"}
            _log.warning("a device did not take a report of storage commitment", **refused)

    async def forever(self) -> None:
        """To be watched: without it devices wait in vain."""
        await over_and_over("reporting storage commitment", self._call, _LOOK)

    async def _call(self) -> None:
        await self._as_settings_say()
        while True:
            self._more.clear()
            await self._drop_older()
            async with Shift(self._database, REPORTS_TO_SEND, self.node, _AT_ONCE) as shift:
                attempt = partial(shift.attempt, work=partial(self._attempt, shift))
                await several_at_once(shift.rows(), attempt, _AT_ONCE)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._more.wait(), _LOOK)

    async def _as_settings_say(self) -> None:
        """Who has got a port since is called, and who has none any more is not."""
        async with self._database.transaction() as db:
            for device in await reports_to_send.devices(db):
                peer = self._peer(device.ae, device.source)
                if peer is not None:
                    called = self.back.address(peer) is not None
                    await reports_to_send.call(db, device, called=called)

    async def _drop_older(self) -> None:
        async with self._database.acquire() as db:
            dropped = await reports_to_send.drop_older(db, self.hours)
        for ae in dropped:
            metrics.REPORTS.labels("given up").inc()
            _log.error("a report of storage commitment was given up", ae=ae)

    def _peer(self, ae: str, source: str) -> Peer | None:
        return next(
            (one for one in self.back.peers.known if one.title == ae and one.calls_from(source)), None
        )

    async def _attempt(self, shift: Shift, row: Row) -> None:
        """One report to a device's port. Raises MdmError."""
        id_, now = reports_to_send.id_of(row), asyncio.get_running_loop().time()
        async with self._database.acquire() as db:
            wanted = await reports_to_send.wanted(db, id_)
        if wanted is None:
            return
        peer = self._peer(wanted.ae, wanted.source)
        address = self.back.address(peer) if peer is not None else None
        if peer is None or address is None:
            raise NoMore("the settings have no port of that device any more", remedy="see pacs.calling")
        if (left := self._away_until.get(peer, now) - now) > 0:
            await shift.put_back([row], left)
            return
        report = await self._made(peer, wanted.source, wanted.asked)
        try:
            status = await self._said(address, report)
        except (NoAssociation, Broken) as why:
            reason = str(why)
        except (Aborted, Released, Silent, Gone):
            reason = "breaks off"
        else:
            self._away_until.pop(peer, None)
            await self.told(peer, id_, status)
            return
        self._away_until[peer] = now + _AWAY
        raise PeerFailed(f"{peer.title} {reason}")

    async def _made(self, peer: Peer, source: str, sealed: bytes) -> Report:
        """Raises Damaged, Unavailable, TooManyRequests."""
        asked = await self.commitment.opened(sealed)
        if peer.landing is None:
            raise NoMore("nothing lands here of that device any more", remedy="see pacs.calling")
        return await self.commitment.report(self.mapped(peer.caller(source)), peer.landing.directory, asked)

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
