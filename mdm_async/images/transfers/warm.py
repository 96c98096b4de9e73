"""Read transfer URLs that this node has served lately, with all that serving them again needs.

A warm request waits for nothing: it trusts what is known by the last look at the change feed, less than half a second
ago. What a change touches is looked up again when it is next asked for; what runs meanwhile is the watch's to judge.
"""

import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from uuid import UUID

from mdm_async.auditing.reads import Read
from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.grants import grants
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.rights.feed import Changes
from mdm_async.catalog.rights.tokens import digest
from mdm_async.errors import Gone, MdmError
from mdm_async.images.changed import ChangedHere
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.reading.kept_views import KeptViews
from mdm_async.images.reading.representation import ClearView, Ending, SealedStream
from mdm_async.images.reading.sealed import SealedView, seal
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.transfers.feed_reader import FRESH, FeedReader, Judged
from mdm_async.images.transfers.judging import Judge
from mdm_async.images.transfers.live_index import LiveIndex, Way
from mdm_async.names import View
from mdm_async.postgres.database import Database

_CACHED_BYTES = 128 << 20


@dataclass(eq=False, slots=True, repr=False)
class WarmTurl:
    """A read transfer URL in use on this node."""

    grant: Grant
    served: ClearView | SealedStream
    expires: float
    checked: float
    used: float
    judged: Judged
    way: Way = ()
    touched: int = 0
    outdated: bool = False
    """Its image has other keys by now: what runs goes on, and what is asked for next is opened anew."""
    older: set[UUID] = field(default_factory=set)
    """Registrations of keys that its image had before, under which something may run still."""

    @property
    def ending(self) -> Ending:
        return self.served.ending

    @property
    def read(self) -> Read:
        """What the audit tells of a read of it."""
        grant = self.grant
        return Read(grant.turl, grant.caller, grant.owner, grant.guid, grant.view, sealed=self.served.sealed)

    def superseded(self) -> set[UUID]:
        """The keys under which something runs here, and which its image has no more."""
        if not self.ending.running:
            self.older.clear()
            return set()
        return self.older | {self.served.registration} if self.outdated else self.older

    def serves(self, now: float) -> bool:
        return not self.ending.ended and now < self.expires


@dataclass(slots=True, repr=False)
class WarmTurls:
    """All of them, the least recently used forgotten first; the catalog still knows those."""

    database: Database
    shelf: Shelf
    blobs: BlobStore
    cipher: CipherPool
    judge: Judge
    changed: ChangedHere
    feed: FeedReader
    most: int
    """Kept at once, besides those that run."""
    idle: float
    """Seconds without use after which one is forgotten, and the keys that open its view with it."""
    kept: KeptViews = field(init=False)
    """Views for transfer URLs that are prepared next."""
    _turls: OrderedDict[bytes, WarmTurl] = field(default_factory=OrderedDict)
    _weight: int = 0
    _dropped: set[UUID] = field(default_factory=set)
    _index: LiveIndex = field(default_factory=LiveIndex)
    let_go_of: list[Callable[[WarmTurl], None]] = field(default_factory=list)
    """Told of those that are forgotten."""
    _unsettled: set[bytes] = field(default_factory=set)
    """Touched since they were judged, all that are and some that were."""

    def __post_init__(self) -> None:
        self.kept = KeptViews(self.most)
        self.feed.followers.append(self._follow)

    def __iter__(self) -> Iterator[WarmTurl]:
        return iter(list(self._turls.values()))

    async def open(self, token: str) -> WarmTurl:
        """What a read transfer URL serves. Raises Gone, or Unavailable when the catalog cannot be asked."""
        turl = digest(token)
        warm = self._turls.get(turl)
        if warm is None or not await self.serves_again(warm):
            warm = await self._look_up(turl, warm)
        if not warm.serves(time.monotonic()):
            raise Gone(remedy="prepare the file again")
        return warm

    def at_hand(self, turl: bytes) -> WarmTurl | None:
        """As `open`, where nothing must be waited for; None: open it."""
        warm = self._turls.get(turl)
        is_fresh = self.feed.is_fresh(self.changed.since)
        return warm if warm is not None and is_fresh and self._taken_up(warm) else None

    async def serves_again(self, warm: WarmTurl) -> bool:
        """Whether it may be read without asking the catalog. Raises Unavailable."""
        await self.feed.catch_up(max(time.monotonic() - FRESH, self.changed.since))
        return self._taken_up(warm)

    def _taken_up(self, warm: WarmTurl) -> bool:
        now = time.monotonic()
        if self._turls.get(warm.grant.turl) is not warm or not self._may_serve(warm, now):
            return False
        warm.used = now
        self._turls.move_to_end(warm.grant.turl)
        return True

    def _may_serve(self, warm: WarmTurl, now: float) -> bool:
        return (
            warm.serves(now)
            and not warm.outdated
            and self.feed.is_settled(warm)
            and not self.changed.outdates(warm.grant.turl, warm.checked)
            and self.serves_view(warm)
        )

    def serves_view(self, warm: WarmTurl) -> bool:
        """Whether what it serves is still what its view is."""
        return self._serves(warm.grant)

    def _serves(self, grant: Grant) -> bool:
        view, version = grant.view or "", grant.version or ""
        if grant.cohort is not None:
            return self.shelf.served.serves_pinned(view, version)
        return self.shelf.served.serves(view, version)

    def admit(
        self, grant: Grant, content: ReadyView | SealedView, asked: float, judged: Judged, way: Way
    ) -> WarmTurl:
        """A transfer URL just prepared here: its first request finds it warm. `asked`: before the transaction."""
        return self._keep(grant, content, asked, judged, way)

    def settle(self, warm: WarmTurl, asked: float, life: float, judged: Judged, way: Way) -> None:
        """It was found, when it was asked for, to live for so many seconds and to have its right."""
        if way != warm.way:
            self._index.discard(warm.grant, warm.way)
            self._index.add(warm.grant, way)
        warm.expires, warm.checked = asked + life, asked
        self.feed.settle(warm, judged, way)
        if not self.feed.is_settled(warm):
            self._unsettled.add(warm.grant.turl)

    def unsettled(self) -> list[WarmTurl]:
        """Those that run and were touched since they were judged."""
        found = [warm for turl in self._unsettled if (warm := self._turls.get(turl)) is not None]
        found = [warm for warm in found if not self.feed.is_settled(warm)]
        self._unsettled = {warm.grant.turl for warm in found}
        return [warm for warm in found if warm.ending.running and not warm.ending.ended]

    def _follow(self, changes: Changes, count: int) -> None:
        self.kept.forget(None if changes.everything else changes.images)
        for turl in changes.ended & self._turls.keys():
            self.end(self._turls[turl])
        touched = (
            set(self._turls)
            if changes.everything
            else self._index.touched_by(changes) | (changes.turls & self._turls.keys())
        )
        for turl in touched:
            self._turls[turl].touched = count
        self._unsettled |= touched

    def end(self, warm: WarmTurl) -> None:
        """It has lost its right. What runs by it is cut."""
        warm.ending.end()
        if not warm.ending.running and self._turls.get(warm.grant.turl) is warm:
            self._drop(warm.grant.turl)

    def end_of(self, images: Collection[UUID]) -> None:
        """These images are no more."""
        self.kept.forget(images)
        for warm in self:
            if warm.grant.image in images:
                self.end(warm)

    def let_go(self, since: float) -> None:
        """Forget all that do not run and were not used since that moment."""
        self.kept.let_go(since)
        idle = [t for t, warm in self._turls.items() if warm.used <= since and not warm.ending.running]
        for turl in idle:
            self._drop(turl)

    def dropped(self) -> set[UUID]:
        """Images whose transfer URLs were dropped since this was asked before."""
        images, self._dropped = self._dropped, set()
        return images

    def forget(self) -> None:
        """All of them, as a node that has just started."""
        self.kept.forget()
        for warm in self._turls.values():
            self._tell_dropped(warm)
        self._turls.clear()
        self._index = LiveIndex()
        self._weight = 0

    async def _look_up(self, turl: bytes, known: WarmTurl | None) -> WarmTurl:
        asked, judged = time.monotonic(), self.feed.now
        async with self.database.acquire() as db:
            found = await grants.by_turl(db, turl)
            if found is None or not found.serves or found.grant.operation != "get":
                raise Gone(remedy="prepare the file again")
            grant = found.grant
            await self.shelf.served.refresh(db)
        if not self._serves(grant):
            raise Gone("the view has been made anew since", remedy="prepare the file again")
        way = (await self.judge.still_allowed([grant])).get(turl)
        if way is None:
            raise Gone(remedy="prepare the file again")
        if known is not None and not known.ending.ended:
            known.outdated = known.served.registration != found.registration
            if not known.outdated:
                known.used = asked
                self.settle(known, asked, grant.life, judged, way)
                return known
        assert grant.image is not None
        assert grant.view is not None
        ready = await self._loaded(grant, grant.image, View(grant.view))
        if ready.version != grant.version:
            raise Gone("the view has been made anew since", remedy="prepare the file again")
        content = ready if grant.recipient is None else await self._sealed(grant, ready)
        return self._keep(grant, content, asked, judged, way)

    async def _loaded(self, grant: Grant, image: UUID, view: View) -> ReadyView:
        if grant.cohort is None:
            return await self.shelf.load_one(self.database, image, view)
        async with self.database.acquire() as db:
            found = await self.shelf.find_pinned(db, [(image, view, grant.version or "")])
            found = await self.shelf.with_parts(db, found)
        (loaded,) = await self.shelf.load(found)
        if isinstance(loaded, MdmError):
            raise loaded
        return loaded

    async def _sealed(self, grant: Grant, ready: ReadyView) -> SealedView:
        assert grant.recipient is not None
        assert grant.secret is not None
        recipient = grant.recipient
        seed = self.shelf.keys.unwrap_grant(grant.secret, grant.request, grant.item)
        sealed = await self.cipher.run(lambda: seal(ready, recipient, seed))
        if sealed.context != grant.context:
            raise Gone("the image has been encrypted under other keys since", remedy="prepare the file again")
        return sealed

    def _keep(
        self, grant: Grant, content: ReadyView | SealedView, asked: float, judged: Judged, way: Way
    ) -> WarmTurl:
        turl = grant.turl
        present = self._turls.get(turl)
        if present is not None and not present.ending.ended:
            if present.served.registration != content.registration:
                self._exchange(present, content)
                self.settle(present, asked, grant.life, judged, way)
            present.used = asked
            return present
        if present is not None:
            self._drop(turl)
        served = self._served(content, Ending())
        warm = WarmTurl(grant, served, asked + grant.life, asked, asked, judged)
        self._turls[turl] = warm
        self.settle(warm, asked, grant.life, judged, way)
        self._weight += served.weight
        while len(self._turls) > self.most or (self._weight > _CACHED_BYTES and len(self._turls) > 1):
            idle = next(
                (t for t, other in self._turls.items() if not other.ending.running and other is not warm),
                None,
            )
            if idle is None:
                break
            self._drop(idle)
        return warm

    def _served(self, content: ReadyView | SealedView, ending: Ending) -> ClearView | SealedStream:
        if isinstance(content, SealedView):
            return SealedStream(content, self.blobs, ending)
        return ClearView(content, self.blobs, ending)

    def _exchange(self, warm: WarmTurl, content: ReadyView | SealedView) -> None:
        """The same bytes, under the keys that the image has now. What runs goes on by what it has, and is watched, and
        ends, with what begins from now on."""
        before = warm.served
        if warm.ending.running:
            warm.older.add(before.registration)
        warm.served, warm.outdated = self._served(content, before.ending), False
        self._weight += warm.served.weight - before.weight

    def _drop(self, turl: bytes) -> None:
        """It is watched no more, so who has it in hand must not begin to read by it."""
        dropped = self._turls.pop(turl)
        dropped.ending.end()
        self._index.discard(dropped.grant, dropped.way)
        if dropped.grant.image is not None:
            self._dropped.add(dropped.grant.image)
        self._weight -= dropped.served.weight
        self._tell_dropped(dropped)

    def _tell_dropped(self, warm: WarmTurl) -> None:
        for tell in self.let_go_of:
            tell(warm)
