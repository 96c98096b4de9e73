"""How soon this node ends what has lost its right: each look reads what has changed, and judges anew what runs and was
touched by it.

A database that stays away ends running transfers after `transfers.revocation_grace`.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import structlog

from mdm_async.catalog.grants import grants
from mdm_async.catalog.rights import feed
from mdm_async.catalog.rights.feed import Changes
from mdm_async.errors import Unavailable
from mdm_async.images.transfers.admission import Admission, Receiving
from mdm_async.images.transfers.holding import HOLD, hold
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.live_index import touches
from mdm_async.images.transfers.warm import WarmTurl, WarmTurls

LOOK = 0.25
_LET_GO = 1.0
"""Seconds between two looks for what is idle."""
_AT_ONCE = 64
"""Judged between two turns of the event loop."""
_TRIM = 60.0

_log = structlog.get_logger()


@dataclass(slots=True, repr=False)
class TurlWatch:
    """Of one node. `judge` works in the lane of control, as the feed does; `grace`: seconds that transfers go on
    without the database."""

    judge: Judge
    warm: WarmTurls
    admission: Admission
    grace: float
    _answered: float = 0.0

    def __post_init__(self) -> None:
        self.warm.feed.followers.append(self._follow)

    async def watch(self) -> None:
        """Look for ever."""
        self._answered = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_forever())
            group.create_task(self._end_unwatched())
            group.create_task(self._tell_older_nodes())
            group.create_task(self._trim())

    async def _look_forever(self) -> None:
        held = let_go = self._answered
        while True:
            await asyncio.sleep(LOOK)
            now = time.monotonic()
            try:
                if now - let_go > _LET_GO:
                    self.warm.let_go(now - self.warm.idle)
                    let_go = now
                await self.warm.feed.catch_up(now)
                await self._judge([*self.warm.unsettled(), *self._unsettled_uploads()])
                self._answered = now
                if now - held > HOLD / 3:
                    await hold(self.judge.database, self.warm)
                    held = now
            except Unavailable:
                pass  # its requests tell of it; transfers are ended when it lasts
            except Exception as why:  # whatever it was, revocation must go on working
                _log.error("live transfers cannot be checked", kind=type(why).__name__)

    async def _end_unwatched(self) -> None:
        # Beside the looks: a database that hangs keeps one of them waiting for longer than the grace.
        while True:
            await asyncio.sleep(LOOK)
            unanswered = time.monotonic() - self.grace - LOOK
            if self._answered >= unanswered:
                continue
            # A request may have asked a database that is back, and then all that it has not touched stands.
            heard = self.warm.feed.as_of >= unanswered
            for warm in self.warm.unsettled() if heard else self.warm:
                if warm.checked < unanswered:
                    self.warm.end(warm)

    def _follow(self, changes: Changes, count: int) -> None:
        for upload in self.admission.receiving.values():
            if upload.grant.turl in changes.ended:
                upload.cut()
            elif touches(changes, upload.grant, upload.way):
                upload.touched = count

    def _unsettled_uploads(self) -> list[Receiving]:
        uploads = self.admission.receiving.values()
        return [upload for upload in uploads if not self.warm.feed.is_settled(upload)]

    async def _judge(self, doubtful: Sequence[WarmTurl | Receiving]) -> None:
        """Those that have lost their right end. A few at a time, so that nothing else waits for long."""
        for start in range(0, len(doubtful), _AT_ONCE):
            some = doubtful[start : start + _AT_ONCE]
            asked, judged = time.monotonic(), self.warm.feed.now
            async with self.judge.database.acquire() as db:
                found = await grants.liveness(db, [one.grant.turl for one in some if one.grant.kept])
                if unkept := [one.grant for one in some if not one.grant.kept]:
                    found |= await grants.liveness_unkept(db, unkept)
            standing = [one.grant for one in some if (at := found.get(one.grant.turl)) and not at.revoked]
            allowed = await self.judge.still_allowed(standing)
            for one in some:
                way = allowed.get(one.grant.turl)
                if isinstance(one, Receiving):
                    if way is None:
                        one.cut()
                    else:
                        self.warm.feed.settle(one, judged, way)
                elif way is None or not self.warm.serves_view(one):
                    self.warm.end(one)
                else:
                    stands = found[one.grant.turl]
                    one.outdated = stands.registration != one.served.registration
                    self.warm.settle(one, asked, stands.life, judged, way)

    async def _tell_older_nodes(self) -> None:
        changed = self.warm.feed.changed
        while True:
            await changed.wait()
            changed.clear()
            with _told_of():
                async with self.judge.database.acquire() as db:
                    await feed.tell_older_nodes(db)
            await asyncio.sleep(LOOK)

    async def _trim(self) -> None:
        while True:
            await asyncio.sleep(_TRIM)
            with _told_of():
                more = True
                while more:
                    async with self.judge.database.transaction() as db:
                        more = await feed.trim(db)


@contextmanager
def _told_of() -> Iterator[None]:
    """Whatever it was, what runs beside it must go on; an absent database is told of by requests."""
    try:
        yield
    except Unavailable:
        pass
    except Exception as why:
        _log.error("the change feed is not kept", kind=type(why).__name__)
