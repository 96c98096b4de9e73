"""The cache of images that were brought from archives: room for the next one, and what goes for it.

What is here and what is coming is never more than the quota, over all nodes: who sets room aside adds to sums in the
catalog, and takes it back when they are too large. Then what nobody uses is evicted, the least recently used first.
"""

import asyncio
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from mdm_async.catalog.grants import evicting
from mdm_async.catalog.grants.evicting import Candidate, Kept
from mdm_async.catalog.holdings import images, staged
from mdm_async.catalog.namespace import paths
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import images_to_stage
from mdm_async.errors import CacheFull, CacheTooSmall, Gone
from mdm_async.images.metrics import (
    CACHE_ASKED,
    CACHE_BYTES,
    CACHE_EVICTED,
    CACHE_EVICTED_BYTES,
    CACHE_REFUSED,
)
from mdm_async.names import Caller
from mdm_async.postgres.database import Connection, Database
from mdm_async.settings import CacheSettings

_SERVER: Final = Caller("mdm", frozenset())
_PAGE: Final = 256
_LOOKED_AT: Final = 20 * _PAGE
"""Images in one search for what may go; the next search goes on behind them."""
_ROUNDS: Final = 8
"""Others may take the room that was just made."""
_GUESS: Final = 1 << 20
"""Bytes set aside for an image of which nobody knows how large it is, before its first byte; more while it comes."""


class _Over(Exception):
    """By so many bytes."""

    def __init__(self, size: int) -> None:
        self.size = size


@dataclass(slots=True)
class Cache:
    """Of one node. `archives`: those in the settings; what another had is not evicted, for it would not come back.
    `share`: the part of what others leave of the quota that one caller may pin for longer than `usual_pin` (seconds).
    """

    database: Database
    settings: CacheSettings
    archives: Collection[str]
    share: float
    usual_pin: int
    hits: int = 0
    """Files asked for here that an archive has too, and that were here."""
    misses: int = 0
    _searching: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def refuses(self) -> bool:
        return self.settings.when_full == "refuse"

    def asked(self, hits: int, misses: int) -> None:
        """Files were asked for that archives have too: they were here, or not."""
        self.hits += hits
        self.misses += misses
        CACHE_ASKED.labels("hit").inc(hits)
        CACHE_ASKED.labels("miss").inc(misses)

    async def first(self, image: UUID) -> int:
        """Bytes to be set aside before an image is asked for."""
        async with self.database.acquire() as db:
            known = await staged.expected(db, image)
        if known is not None or self.settings.quota is None:
            return known or _GUESS
        return min(_GUESS, self.settings.quota // 16)

    async def set_aside(self, image: UUID, size: int, *, begins: bool = False) -> None:
        """So many bytes for an image that is coming, in all; what was used the least goes for it. What `begins` to come
        lets others go first who have waited for room for long.

        Raises CacheFull, with the seconds after which pins will have ended, and CacheTooSmall.
        """
        quota = self.settings.quota
        if quota is not None and size > quota:
            CACHE_REFUSED.labels("too small").inc()
            raise CacheTooSmall(
                "the file takes more than the quota of all images from archives",
                remedy="ask an administrator to raise cache.quota",
            )
        if begins and quota is not None:
            async with self.database.acquire() as db:
                if await images_to_stage.another_is_first(db, image):
                    raise _full(None)
        try:
            await self._set_aside(image, size)
            return
        except _Over:
            pass
        async with self._searching:
            for _ in range(_ROUNDS):
                try:
                    await self._set_aside(image, size)
                    return
                except _Over as over:
                    await self._make_room(over.size)
        raise _full(None)

    async def _set_aside(self, image: UUID, size: int) -> None:
        async with self.database.transaction() as db:
            await staged.set_aside(db, image, size)
            totals = await staged.totals(db)
            over = totals.here + totals.coming - (self.settings.quota or totals.here + totals.coming)
            if over > 0:
                raise _Over(over)
        _show(totals)

    async def give_up(self, image: UUID) -> None:
        """An image does not come after all."""
        async with self.database.acquire() as db:
            await staged.give_up(db, image)

    async def refusal(self) -> CacheFull | None:
        """Why nothing can be brought just now, where who asks does not wait for room."""
        quota = self.settings.quota
        if not self.refuses or quota is None:
            return None
        async with self.database.acquire() as db:
            totals = await staged.totals(db)
            if totals.here + totals.coming < quota:
                return None
            after, looked = None, 0
            while looked < _LOOKED_AT:
                page, after = await evicting.page(db, self.archives, after, _PAGE)
                if any(one.kept is None for one in page):
                    return None
                looked += _PAGE
                if after is None:
                    break
        CACHE_REFUSED.labels("full").inc()
        return _full(None)

    async def _make_room(self, size: int) -> None:
        """Evict so many bytes. Raises CacheFull, with what could be evicted gone."""
        async with self.database.acquire() as db:
            await staged.give_up_lapsed(db)
        after, looked, freed, kept = None, 0, 0, list[Candidate]()
        while freed < size and looked < _LOOKED_AT:
            async with self.database.acquire() as db:
                page, after = await evicting.page(db, self.archives, after, _PAGE)
            for one in page:
                if freed >= size:
                    break
                gone = await self.evict(one.image) if one.kept is None else None
                if isinstance(gone, int):
                    CACHE_EVICTED.labels("room").inc()
                    freed += gone
                else:
                    kept.append(one)
            looked += _PAGE
            if after is None:
                break
        if kept and after is not None:
            # Behind all others: they are in use, and the next search begins with what was not looked at.
            async with self.database.acquire() as db:
                await staged.note_use(db, [one.image for one in kept], 0)
        if freed < size:
            raise _full(_until(kept, size - freed))

    async def evict(self, image: UUID, by: Caller = _SERVER) -> int | Kept | None:
        """Let an image's bytes go: how many, or why they stay; None when they are not in the cache."""
        return await self._evict(image, by, lost=False)

    async def lose(self, image: UUID) -> bool:
        """As `evict`, of an image of whose bytes some are gone, so that no pin keeps the others; False when no archive
        in the settings has it."""
        return isinstance(await self._evict(image, _SERVER, lost=True), int)

    async def _evict(self, image: UUID, by: Caller, *, lost: bool) -> int | Kept | None:
        try:
            async with self.database.transaction() as db:
                await images.lock(db, image)
                found = await evicting.lock(db, self.archives, image)
                if found is None:
                    return None
                if found.kept == "archive" or (found.kept is not None and not lost):
                    return found.kept
                size = await staged.evict(db, image)
                await acts.record(db, await _acts(db, image, by))
        except Gone:
            return None
        CACHE_EVICTED_BYTES.inc(size)
        return size


async def _acts(db: Connection, image: UUID, by: Caller) -> list[Act]:
    return [Act(by, "evict", guid=guid) for _, guid, _ in await paths.entries_of_images(db, [image])]


def _until(kept: Collection[Candidate], size: int) -> float | None:
    """Seconds until pins of so many bytes will have ended, if nobody extends them; None when they are too few."""
    freed = 0
    for until, one in sorted((one.until, one.bytes) for one in kept if one.until is not None):
        freed += one
        if freed >= size:
            return until
    return None


def _full(until: float | None) -> CacheFull:
    return CacheFull(
        "all that was brought from archives is in use, and cache.quota has no room for more",
        remedy="release files that are no longer needed (mdm pacs release), or ask again later",
        retry_after=max(1, int(until)) if until is not None else None,
    )


def _show(totals: staged.Totals) -> None:
    CACHE_BYTES.labels("here").set(totals.here)
    CACHE_BYTES.labels("coming").set(totals.coming)
