"""This node's end of the change feed: how new what it knows is, and what of it a change has touched."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.rights import feed
from mdm_async.catalog.rights.feed import EVERYTHING, Changes
from mdm_async.identity.mapping import Mapping
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.transfers.live_index import Way, touches
from mdm_async.names import Caller
from mdm_async.postgres.database import Database

FRESH = 0.5
"""Seconds for which a warm request trusts what is known of the feed."""
_REMEMBERED = 16
"""Looks that brought something: what was asked before them is asked again."""

Judged = tuple[int, int]
"""When a right was looked at: how many looks had brought something by then, and this node's mapping of groups."""
NEVER: Judged = (-1, -1)


class Live(Protocol):
    """What must end when it loses its right."""

    grant: Grant
    way: Way
    judged: Judged
    touched: int
    """The last look that brought what touches it."""


@dataclass(slots=True, repr=False)
class FeedReader:
    """Reads the feed, in the lane of control, for all that is live on this node."""

    database: Database
    served: ServedViews
    mapping: Mapping
    followers: list[Callable[[Changes, int], None]] = field(default_factory=list)
    """They are told of what each look brings, and of its number."""
    as_of: float = float("-inf")
    """When the last look began: all that was committed before is known (`time.monotonic`)."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever a look brought something."""
    _count: int = 0
    _failure: Exception | None = None
    """Of the last look, when it failed."""
    _snapshot: str | None = None
    _ended: int = -1
    """How many of the database's connections had ended when the snapshot was taken. After a crash, or when another
    server has taken over, transactions are numbered anew from some point on: those would count as seen."""
    _recent: deque[Changes] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    _one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)
    _seen: tuple[int, int] = (0, 0)
    """Generations of the views served and of the mapping at the last look."""

    @property
    def now(self) -> Judged:
        """To be taken before a right is looked at."""
        return self._count, self.mapping.generation

    def known_of(self, caller: Caller) -> Judged:
        """As `now`, before a right of this caller is looked at: his credential was looked at before that."""
        count = self._count if caller.looked is None else min(caller.looked, self._count)
        return count, caller.generation

    def is_fresh(self, changed: float) -> bool:
        """Whether so much is known that a warm request waits for nothing; `changed`: when this node changed rights."""
        return self.as_of >= max(time.monotonic() - FRESH, changed)

    async def catch_up(self, moment: float) -> None:
        """Return when all is known that was committed before `moment`. Raises Unavailable.

        Those who wait share a look, and its failure: a database that is silent keeps nobody for longer than one look.
        """
        failure = self._failure
        while self.as_of < moment:
            async with self._one_at_a_time:
                if self.as_of >= moment:
                    return
                if self._failure is not None and self._failure is not failure:
                    # Not with the frames of those who raised it before: their bodies and credentials would stay.
                    raise self._failure.with_traceback(None)
                await self._look()

    async def _look(self) -> None:
        began = time.monotonic()
        try:
            async with self.database.acquire() as db:
                ended = self.database.ended
                look = await feed.read(db, self._snapshot if ended == self._ended else None)
                await self.served.refresh(db)
        except Exception as why:
            self._snapshot, self._failure = None, why
            raise
        self._ended, self._failure = ended, None
        changes, seen = look.changes, (self.served.generation, self.mapping.generation)
        if seen != self._seen:
            changes = EVERYTHING
        self._snapshot, self._seen = look.snapshot, seen
        if not changes.is_nothing:
            self._count += 1
            self._recent.append(changes)
            for follow in self.followers:
                follow(changes, self._count)
            self.changed.set()
        self.as_of = began

    def settle(self, live: Live, judged: Judged, way: Way) -> None:
        """It was found to have its right, and to hang on `way`, when it was asked for at `judged`."""
        live.judged, live.way = judged, way
        # What came in between it has not been told of, or not by these entries.
        live.touched = self._count if self._has_touched(live) else judged[0]

    def _has_touched(self, live: Live) -> bool:
        since = self._count - live.judged[0]
        if since > len(self._recent):
            return True
        recent = list(self._recent)[len(self._recent) - since :]
        return any(touches(changes, live.grant, live.way) for changes in recent)

    def is_settled(self, live: Live) -> bool:
        """Whether nothing has touched it since it was judged."""
        return live.touched <= live.judged[0] and live.judged[1] == self.mapping.generation
