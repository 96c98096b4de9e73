"""The cache as administrators see it: how full it is, of what, and what they let go of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from mdm_async.catalog.grants import evicting
from mdm_async.catalog.grants.evicting import Candidate, Place
from mdm_async.catalog.holdings import staged
from mdm_async.catalog.holdings.staged import Totals
from mdm_async.catalog.rights.acl import demand_administrator
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import Busy, IsADirectory, MdmError
from mdm_async.images.metrics import CACHE_EVICTED
from mdm_async.images.surls import existing
from mdm_async.images.transfers.cache import Cache
from mdm_async.names import Caller, Right
from mdm_async.postgres.database import Connection

_PAGE: Final = 250
LOOKED_AT: Final = 10_000
"""Images that a status looks at one by one; the sums are of all."""
_HOLDERS: Final = 20
"""Callers whose pins a status tells."""
_AT_ONCE: Final = 1000
"""Images that one request for room looks at."""


@dataclass(frozen=True, slots=True)
class CacheStanding:
    """`evictable` bytes could go; `kept` ones stay, by the reason; of `pinned` ones it is told by whose pins, of those
    who keep the most. With `more`, there are images that were not looked at one by one.
    """

    totals: Totals
    evictable: int
    kept: dict[str, int]
    pinned: dict[str, int]
    more: bool


@dataclass(slots=True)
class Evicted:
    """What went, or would: how many images and bytes; how many stay, by the reason; where to go on."""

    images: int = 0
    bytes: int = 0
    kept: Counter[str] = field(default_factory=Counter)
    next: Place | None = None

    def add(self, size: int) -> None:
        self.images += 1
        self.bytes += size


async def standing(cache: Cache, caller: Caller) -> CacheStanding:
    async with cache.database.acquire() as db:
        await demand_administrator(db, caller)
        totals = await staged.totals(db)
    after: Place | None = None
    free, kept, pinned, looked = 0, Counter[str](), Counter[str](), 0
    while looked < LOOKED_AT:
        page, after = await _page(cache, after)
        for one in page:
            if one.kept is None:
                free += one.bytes
            else:
                kept[one.kept] += one.bytes
        held = {one.image: one.bytes for one in page if one.kept == "pinned"}
        if held:
            async with cache.database.acquire() as db:
                for image, holder in await evicting.holders(db, held):
                    pinned[holder] += held[image]
        looked += _PAGE
        if after is None:
            break
    return CacheStanding(totals, free, dict(kept), dict(pinned.most_common(_HOLDERS)), after is not None)


async def evict_files(
    cache: Cache, caller: Caller, surls: Sequence[str], *, dry_run: bool
) -> list[tuple[str, int | MdmError]]:
    """Of each file, how many bytes went, or would; 0 when none were in the cache. Busy when it is in use."""
    async with cache.database.acquire() as db:
        await _demand(db, caller, dry_run=dry_run, files=len(surls))
    found: list[tuple[str, int | MdmError]] = []
    for surl in surls:
        try:
            found.append((surl, await _evict_file(cache, caller, surl, dry_run=dry_run)))
        except MdmError as why:
            found.append((surl, why))
    return found


async def _evict_file(cache: Cache, caller: Caller, surl: str, *, dry_run: bool) -> int:
    async with cache.database.acquire() as db:
        _, entry = await existing(db, caller, surl, Right.LIST)
        if entry.image is None:
            raise IsADirectory("a directory has no bytes", remedy="name its files")
        known = await evicting.of_images(db, cache.archives, [entry.image])
    if not known:
        return 0
    (one,) = known
    gone = one.kept or one.bytes if dry_run else await _evict(cache, caller, one)
    if isinstance(gone, str):
        raise Busy(f"the file stays: {_WHY[gone]}", remedy=_REMEDY.get(gone, "see docs/cache.md"))
    return gone or 0


_REMEDY: Final = {
    "pinned": "who pinned it releases it (mdm pacs release), or it goes once the pin has ended; `mdm cache status` "
    "tells whose pins those are",
    "read": "it may go a minute after its last read has ended",
}
_WHY: Final = {
    "pinned": "it is pinned, or waited for",
    "read": "it is being read",
    "cohort": "a cohort pins it",
    "archive": "its archive has it no more, or is not asked",
}


async def make_room(
    cache: Cache, caller: Caller, size: int | None, after: Place | None, *, dry_run: bool
) -> Evicted:
    """Let go of so many bytes (None: all that may go) of what was used the least, as far as one request looks."""
    async with cache.database.acquire() as db:
        await _demand(db, caller, dry_run=dry_run, bytes=size)
    made = Evicted(next=after)
    for _ in range(_AT_ONCE // _PAGE):
        page, made.next = await _page(cache, made.next)
        for one in page:
            if size is not None and made.bytes >= size:
                made.next = None
                return made
            gone = one.kept or one.bytes if dry_run else await _evict(cache, caller, one)
            if isinstance(gone, int):
                made.add(gone)
            elif gone is not None:
                made.kept[gone] += 1
        if made.next is None:
            break
    if size is not None and made.bytes >= size:
        made.next = None
    return made


async def _page(cache: Cache, after: Place | None) -> tuple[list[Candidate], Place | None]:
    async with cache.database.acquire() as db:
        return await evicting.page(db, cache.archives, after, _PAGE)


async def _evict(cache: Cache, caller: Caller, one: Candidate) -> int | evicting.Kept | None:
    if one.kept is not None:
        return one.kept
    gone = await cache.evict(one.image, caller)
    if isinstance(gone, int):
        CACHE_EVICTED.labels("asked").inc()
    return gone


async def _demand(db: Connection, caller: Caller, *, dry_run: bool, **details: object) -> None:
    await demand_administrator(db, caller)
    if not dry_run:
        await acts.record(db, [Act(caller, "cache evict", details=details)])
