"""Local tokens that this node was shown lately: their rows are read again only when the change feed tells of them."""

import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace

from mdm_async.catalog.rights import tokens
from mdm_async.catalog.rights.feed import Changes
from mdm_async.catalog.rights.tokens import Shown, digest
from mdm_async.images.changed import ChangedHere
from mdm_async.images.transfers.feed_reader import FRESH, FeedReader
from mdm_async.names import Caller
from mdm_async.postgres.database import Database

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True, repr=False)
class _Known:
    caller: Caller
    ends: float
    """`time.monotonic`."""


@dataclass(slots=True, repr=False)
class KnownTokens:
    """By their hashes. None is kept that is unknown: who guesses would fill the memory."""

    database: Database
    feed: FeedReader
    changed: ChangedHere
    _known: OrderedDict[bytes, _Known] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        self.feed.followers.append(self._follow)

    async def caller_of(self, token: str) -> Caller | None:
        """Whose token this is, or None when it is unknown, expired or revoked. Raises Unavailable."""
        key = digest(token)
        if key in self._known:
            # Whatever is revoked meanwhile is dropped by what the look brings.
            await self.feed.catch_up(max(time.monotonic() - FRESH, self.changed.since))
            known = self._known.get(key)
            if known is not None and time.monotonic() < known.ends:
                self._known.move_to_end(key)
                return self._told(known.caller, self.feed.now[0])
        asked, judged = time.monotonic(), self.feed.now
        async with self.database.acquire() as db:
            shown = await tokens.shown(db, token)
        if shown is None:
            self._known.pop(key, None)
            return None
        if judged == self.feed.now:  # else what was revoked in between would be taken for known
            self._keep(key, shown, asked)
        return self._told(shown.caller, judged[0])

    def at_hand(self, token: str) -> Caller | None:
        """As `caller_of`, where nothing must be waited for; None: ask it."""
        key = digest(token)
        known = self._known.get(key)
        if known is None or time.monotonic() >= known.ends or not self.feed.is_fresh(self.changed.since):
            return None
        self._known.move_to_end(key)
        return self._told(known.caller, self.feed.now[0])

    @staticmethod
    def _told(caller: Caller, looked: int) -> Caller:
        """What is granted by it is judged again when a change came after that: it may have been revoked then."""
        return replace(caller, looked=looked)

    def _keep(self, key: bytes, shown: Shown, asked: float) -> None:
        self._known[key] = _Known(shown.caller, asked + shown.life)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def _follow(self, changes: Changes, count: int) -> None:
        if changes.everything:
            self._known.clear()
        elif changes.tokens:
            gone = [key for key, known in self._known.items() if known.caller.token in changes.tokens]
            for key in gone:
                del self._known[key]
