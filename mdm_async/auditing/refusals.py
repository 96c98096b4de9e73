"""Every refused access in the audit trail, without waiting for it.

What is hidden and what is missing must take the same time, so a refusal is noted here and written a moment later.
Those of callers who showed who they are have a row each. Those of anybody are counted per source and reason, a row a
minute, so that a flood neither fills the trail nor memory.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import structlog

from mdm_async.auditing.metrics import AUDIT_REFUSALS
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import MdmError
from mdm_async.names import ANONYMOUS, Caller
from mdm_async.postgres.database import Database
from mdm_async.postgres.turns import as_nobody

REFUSED: Final = "refused"
OTHERS: Final = "other sources"
_SECONDS: Final = 0.25
_MINUTE: Final = 60.0
_COUNTS: Final = 10_000
"""Sources and reasons that are told apart in a minute."""
_WAITING: Final = 10_000
"""Rows that wait to be written, at the most."""
_WAITING_OF_ANYBODY: Final = 5_000
_WAITING_OF_ONE: Final = 1_000
"""So many of them are of one caller, so that no flood keeps others out; beyond that they are counted."""
_BATCH: Final = 1_000
_TEXT: Final = 200
_STALE: Final = 2.0

_log = structlog.get_logger()
_Key = tuple[str, str, str]
"""Caller, source, reason."""


@dataclass(slots=True)
class _Count:
    """Refusals of one kind since `since`, beyond those with rows of their own."""

    since: float
    refusals: int = 0


@dataclass(slots=True)
class _Waiting:
    act: Act
    since: float


class Refusals:
    """Of one node. `write_forever` writes what `note` was told; `close` what is left."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.monotonic) -> None:
        self._database, self._clock = database, clock
        self._queue: deque[_Waiting] = deque()
        self._of_one: Counter[str] = Counter()
        self._counts: dict[_Key, _Count] = {}
        self._writing: asyncio.Future[None] | None = None
        self._one_writes = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<Refusals {len(self._queue)} waiting, {len(self._counts)} counted>"

    def note(self, error: MdmError, caller: Caller | None, source: str, act: str) -> None:
        """An access was refused; `act` is what was tried, in our words. Returns at once."""
        AUDIT_REFUSALS.inc()
        refusal = error.refusal
        details: dict[str, Any] = {"reason": type(error).__name__}
        if refusal is not None:
            details |= {"right": str(refusal.right), "principal": _text(refusal.principal)}
        else:
            details["detail"] = _text(error.detail)
        row = Act(
            _named(caller, source),
            _text(act),
            REFUSED,
            guid=refusal.guid if refusal is not None else None,
            view=refusal.view if refusal is not None else None,
            details=details,
        )
        reason = details.get("detail") or f"right {details['right']}"
        if caller is None or caller.is_anonymous:
            self._count(row, reason)
        elif not self._wait(row):
            self._add((row.caller.name, row.caller.source, reason))

    def tls_refused(self, source: str, reason: str) -> None:
        """A connection ended before it said who it was."""
        AUDIT_REFUSALS.inc()
        details = {"reason": "TLS", "detail": _text(reason)}
        self._count(Act(_named(None, source), "connect", REFUSED, details=details), details["detail"])

    async def write_forever(self) -> None:
        """Whatever happens, the next refusals are written too."""
        while True:
            await asyncio.sleep(_SECONDS)
            self._end_minutes()
            # Not cut short, or nobody would know whether it was written.
            self._writing = as_nobody(self._write())
            await asyncio.shield(self._writing)

    async def close(self) -> None:
        """Write all that is left, counts of unfinished minutes too; what cannot be written now is lost, and counted."""
        if self._writing is not None:
            await self._writing
        while self._counts or self._queue:
            self._end_minutes(all_of_them=True)
            await self._write()
            if self._queue:
                lost = len(self._queue) + sum(count.refusals for count in self._counts.values())
                _log.error("refused accesses could not be put into the audit", count=lost)
                return

    def _count(self, row: Act, reason: str) -> None:
        """The first of a minute has a row of its own."""
        key = row.caller.name, row.caller.source, reason
        if key not in self._counts and len(self._counts) < _COUNTS and self._wait(row, _WAITING_OF_ANYBODY):
            self._counts[key] = _Count(self._clock())
        else:
            self._add(key)

    def _add(self, key: _Key) -> None:
        count = self._counts.get(key)
        if count is None:
            if len(self._counts) >= _COUNTS:
                key = ANONYMOUS.name, OTHERS, "several"
            count = self._counts.setdefault(key, _Count(self._clock()))
        count.refusals += 1

    def _wait(self, row: Act, of_one: int = _WAITING_OF_ONE) -> bool:
        """Queue a row; False when too many wait."""
        if len(self._queue) >= _WAITING or self._of_one[row.caller.name] >= of_one:
            return False
        self._queue.append(_Waiting(row, self._clock()))
        self._of_one[row.caller.name] += 1
        return True

    def _end_minutes(self, *, all_of_them: bool = False) -> None:
        now = self._clock()
        # In order of their beginning: the rest is younger.
        over = []
        for key, count in self._counts.items():
            if now - count.since < _MINUTE and not all_of_them:
                break
            over.append(key)
        for key in over:
            count = self._counts[key]
            if count.refusals and not self._wait(_counted(key, count, now), _WAITING):
                break  # they go on being counted
            del self._counts[key]

    async def _write(self) -> None:
        async with self._one_writes:
            await self._write_queue()

    async def _write_queue(self) -> None:
        while self._queue:
            batch = [self._queue[i] for i in range(min(len(self._queue), _BATCH))]
            now = self._clock()
            try:
                async with self._database.acquire() as db:
                    await acts.record(db, [_late(waiting, now) for waiting in batch])
            except MdmError:
                return  # away; they keep
            except Exception as why:
                _log.error("refused accesses cannot be put into the audit", kind=type(why).__name__)
                return
            for waiting in batch:
                self._queue.popleft()
                self._of_one[waiting.act.caller.name] -= 1
            self._of_one = +self._of_one


def _named(caller: Caller | None, source: str) -> Caller:
    who = caller if caller is not None else ANONYMOUS
    return Caller(_text(who.name, 1000), frozenset(), source=_text(source), macaroon=who.macaroon)


def _counted(key: _Key, count: _Count, now: float) -> Act:
    name, source, reason = key
    details = {"reason": reason, "count": count.refusals, "seconds": round(now - count.since)}
    return Act(Caller(name, frozenset(), source=source), "refusals", REFUSED, details=details)


def _late(waiting: _Waiting, now: float) -> Act:
    """Rows bear the time at which they are written; one that had to wait says for how long."""
    if now - waiting.since > _STALE:
        waiting.act.details["secondsAgo"] = round(now - waiting.since)
    return waiting.act


def _text(text: str, most: int = _TEXT) -> str:
    """What Postgres takes as text, and no more of it than somebody should be able to make us keep."""
    return text[:most].replace("\0", "�").encode(errors="replace").decode()
