"""How soon this node learns that a transfer URL has ended: one query re-checks all that are in use.

A database that stays away ends running transfers after `transfers.revocation_grace`.
"""

import asyncio
import time
from dataclasses import dataclass

import structlog

from mdm_async.catalog.grants import grants
from mdm_async.errors import Unavailable
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.transfers.admission import Admission, Receiving
from mdm_async.images.transfers.holding import HOLD, hold
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.warm import WarmTurl, WarmTurls
from mdm_async.postgres.database import Database

LOOK = 0.25
_IDLE = 30.0

_log = structlog.get_logger()


@dataclass(slots=True, repr=False)
class TurlWatch:
    """Of one node. `grace`: seconds that transfers go on without the database."""

    database: Database
    served: ServedViews
    judge: Judge
    warm: WarmTurls
    admission: Admission
    grace: float
    _answered: float = 0.0

    async def watch(self) -> None:
        """Re-check for ever."""
        self._answered = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recheck_forever())
            group.create_task(self._end_unwatched())

    async def _recheck_forever(self) -> None:
        held = self._answered
        while True:
            await asyncio.sleep(LOOK)
            now = time.monotonic()
            try:
                await self._recheck(now)
                self._answered = now
                if now - held > HOLD / 3:
                    await hold(self.database, self.warm)
                    held = now
            except Unavailable:
                pass  # its requests tell of it; transfers are ended when it lasts
            except Exception as why:  # whatever it was, revocation must go on working
                _log.error("live transfers cannot be checked", kind=type(why).__name__)

    async def _end_unwatched(self) -> None:
        # Beside the checks: a database that hangs keeps one of them waiting for longer than the grace.
        while True:
            await asyncio.sleep(LOOK)
            unanswered = time.monotonic() - self.grace - LOOK
            if self._answered < unanswered:
                for warm in self.warm:
                    # Not what a request has just asked a database that is back: the next look will know it.
                    if warm.checked < unanswered:
                        warm.ending.end()
                self.warm.forget_ended()

    async def _recheck(self, now: float) -> None:
        in_use = self.warm.in_use(since=now - _IDLE)
        receiving = self.admission.receiving
        if not in_use and not receiving:
            return
        held: dict[bytes, WarmTurl | Receiving] = {**in_use, **receiving}
        unkept = [one.grant for one in held.values() if not one.grant.kept]
        generation = self.judge.mapping.generation
        async with self.database.acquire() as db:
            found = await grants.liveness(db, held)
            if unkept:
                found |= await grants.liveness_unkept(db, unkept)
            await self.served.refresh(db)
        standing = {turl: (state.epoch, generation) for turl, state in found.items() if not state.revoked}
        changed = {turl for turl, judged in standing.items() if held[turl].judged != judged}
        if changed:
            changed -= await self.judge.still_allowed([held[turl].grant for turl in changed])
        for turl, upload in receiving.items():
            if turl not in standing or turl in changed:
                upload.cut()
            else:
                upload.judged = standing[turl]
        for turl, warm in in_use.items():
            served = self.served.serves(warm.grant.view or "", warm.grant.version)
            if turl not in standing or turl in changed or not served:
                warm.ending.end()
            else:
                warm.expires, warm.checked, warm.judged = now + found[turl].life, now, standing[turl]
        self.warm.forget_ended()
