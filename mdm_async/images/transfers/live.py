"""The transfer URLs that this node is serving, and how soon it learns that one has ended.

A warm request waits for nothing: it trusts what the last look at the catalog, less than half a second ago, said.
One query re-checks all transfer URLs in use; running transfers look at `Live.ended` every mebibyte.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from mdm_async.catalog.grants import grants
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.holdings import images
from mdm_async.catalog.rights.tokens import digest
from mdm_async.errors import Gone, TooManyRequests, Unavailable
from mdm_async.images.archive import Archive
from mdm_async.images.metrics import TRANSFERS_OUT
from mdm_async.images.reading import stream
from mdm_async.images.reading.sealed import BlobSlice, SealedView, seal
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.transfers.judging import still_allowed
from mdm_async.names import View

FRESH = 0.5
"""Seconds for which a warm request trusts what it knows."""
_LOOK = 0.25
_IDLE = 30.0
_HOLD = 60.0
_CACHED = 8192
_CACHED_BYTES = 128 << 20

_NEVER: "Judged" = (-1, -1)

_log = structlog.get_logger()


Judged = tuple[int, int]
"""When a right was looked at: how often ACLs, tokens and directories, and this node's mapping, had changed by then."""


@dataclass(eq=False, slots=True, repr=False)
class Receiving:
    """An upload in progress."""

    grant: Grant
    judged: Judged
    cuts: list[Callable[[], None]] = field(default_factory=list)


@dataclass(eq=False, slots=True, repr=False)
class Live:
    """A read transfer URL in use on this node. Exactly one of `clear` and `sealed` is what it serves."""

    grant: Grant
    clear: ReadyView | None
    sealed: SealedView | None
    expires: float
    checked: float
    used: float
    judged: Judged
    ended: bool = False
    """Released, revoked or deleted, or the database has been away for too long: running transfers stop."""
    running: int = 0
    cuts: list[Callable[[], None]] = field(default_factory=list)
    """How to cut the connections of running transfers, which may be waiting for a reader that does not read."""

    def end(self) -> None:
        self.ended = True
        for cut in self.cuts:
            cut()

    @property
    def served(self) -> ReadyView | SealedView:
        chosen = self.sealed or self.clear
        assert chosen is not None
        return chosen

    @property
    def is_sealed(self) -> bool:
        return self.sealed is not None

    @property
    def weight(self) -> int:
        """Bytes of memory that its inline parts take."""
        if self.sealed is not None:
            return sum(len(piece) for piece in self.sealed.pieces if not isinstance(piece, BlobSlice))
        assert self.clear is not None
        return sum(len(part.plain or b"") for part in self.clear.parts)

    def serves(self, now: float) -> bool:
        return not self.ended and now < self.expires


@dataclass(slots=True, repr=False)
class LiveGrants:
    """All of them, the least recently used forgotten first; the catalog still knows those."""

    archive: Archive
    _live: OrderedDict[bytes, Live] = field(default_factory=OrderedDict)
    _weight: int = 0
    _running: int = 0
    _answered: float = 0.0
    _receiving: dict[bytes, Receiving] = field(default_factory=dict)
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever a transfer ends."""

    async def open(self, token: str) -> Live:
        """What a read transfer URL serves. Raises Gone, or Unavailable when the catalog cannot be asked."""
        turl = digest(token)
        now = time.monotonic()
        live = self._live.get(turl)
        outdated = live is None or self.archive.changed.outdates(turl, live.checked)
        if live is not None and not outdated and now - live.checked < FRESH:
            live.used = now
            self._live.move_to_end(turl)
        else:
            live = await self._look_up(turl, live)
        if not live.serves(time.monotonic()):
            raise Gone(remedy="prepare the file again")
        return live

    def admit(
        self, grant: Grant, clear: ReadyView | None, sealed: SealedView | None, asked: float, judged: Judged
    ) -> None:
        """A transfer URL just prepared here: its first request finds it warm. `asked`: before the transaction."""
        self._keep(grant.turl, Live(grant, clear, sealed, asked + grant.life, asked, asked, judged))

    @contextmanager
    def running(self, live: Live, cut: Callable[[], None]) -> Iterator[None]:
        """While a transfer runs; `cut` ends its connection. Raises TooManyRequests at once when too many do."""
        if self._running >= self.archive.settings.transfers.running:
            raise TooManyRequests("this server runs as many transfers as it may", retry_after=2)
        live.running += 1
        self._running += 1
        live.cuts.append(cut)
        TRANSFERS_OUT.inc()
        try:
            yield
        finally:
            live.cuts.remove(cut)
            live.running -= 1
            self._running -= 1
            self._ended.set()
            TRANSFERS_OUT.dec()

    @contextmanager
    def receiving(self, grant: Grant, cut: Callable[[], None]) -> Iterator[None]:
        """While an upload runs; `cut` ends its connection, when it is aborted or its token revoked."""
        receiving = self._receiving.setdefault(grant.turl, Receiving(grant, _NEVER))
        receiving.cuts.append(cut)
        try:
            yield
        finally:
            receiving.cuts.remove(cut)
            if not receiving.cuts:
                self._receiving.pop(grant.turl, None)
            self._ended.set()

    async def idle(self) -> None:
        """Wait until no transfer runs."""
        while self._running or self._receiving:
            self._ended.clear()
            await self._ended.wait()

    def pieces(self, live: Live, start: int, stop: int) -> "AsyncGenerator[memoryview | BlobSlice, None]":
        """The bytes start ≤ i < stop of what is served; a blob's slice is to be sent as it lies."""
        if live.sealed is not None:
            return _as_async(live.sealed.slices(start, stop))
        assert live.clear is not None
        return stream.clear(self.archive.blobs, live.clear, start, stop)

    async def watch(self) -> None:
        """Re-check for ever. A database that stays away ends running transfers after `revocation_grace`."""
        self._answered = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._recheck_forever())
            group.create_task(self._end_unwatched())

    async def _recheck_forever(self) -> None:
        held = self._answered
        while True:
            await asyncio.sleep(_LOOK)
            now = time.monotonic()
            try:
                await self._recheck(now)
                self._answered = now
                if now - held > _HOLD / 3:
                    await self._hold()
                    held = now
            except Unavailable:
                pass  # its requests tell of it; transfers are ended when it lasts
            except Exception as why:  # whatever it was, revocation must go on working
                _log.error("live transfers cannot be checked", kind=type(why).__name__)

    async def _end_unwatched(self) -> None:
        # Beside the checks: a database that hangs keeps one of them waiting for longer than the grace.
        while True:
            await asyncio.sleep(_LOOK)
            if time.monotonic() - self._answered > self.archive.settings.transfers.revocation_grace + _LOOK:
                for live in list(self._live.values()):
                    live.end()
                self._forget_ended()

    async def _recheck(self, now: float) -> None:
        in_use = {t: live for t, live in self._live.items() if live.running or now - live.used < _IDLE}
        for turl in [t for t in self._live if t not in in_use]:
            self._drop(turl)
        receiving = dict(self._receiving)
        if not in_use and not receiving:
            return
        generation = self.archive.mapping.generation
        async with self.archive.database.acquire() as db:
            found = await grants.liveness(db, [*in_use, *receiving])
            await self.archive.views.refresh(db)
        standing = {turl: (state.epoch, generation) for turl, state in found.items() if not state.revoked}
        held: dict[bytes, Live | Receiving] = {**in_use, **receiving}
        changed = {turl for turl, judged in standing.items() if held[turl].judged != judged}
        if changed:
            changed -= await still_allowed(self.archive, [held[turl].grant for turl in changed])
        for turl, upload in receiving.items():
            if turl not in standing or turl in changed:
                for cut in upload.cuts:
                    cut()
            else:
                upload.judged = standing[turl]
        for turl, live in in_use.items():
            if turl not in standing or turl in changed or not self._serves(live.grant):
                live.end()
            else:
                live.expires, live.checked, live.judged = now + found[turl].life, now, standing[turl]
        self._forget_ended()

    def _serves(self, grant: Grant) -> bool:
        """Whether the version that this transfer URL is for may still be given out."""
        return self.archive.views.serves(grant.view or "", grant.version)

    async def _hold(self) -> None:
        held = {live.grant.image for live in self._live.values() if live.running and live.grant.image}
        if held:
            async with self.archive.database.acquire() as db:
                await images.use(db, held, _HOLD)

    async def _look_up(self, turl: bytes, known: Live | None) -> Live:
        asked, generation = time.monotonic(), self.archive.mapping.generation
        async with self.archive.database.acquire() as db:
            found = await grants.by_turl(db, turl)
            if found is None or not found.serves or found.grant.operation != "get":
                raise Gone(remedy="prepare the file again")
            grant = found.grant
            await self.archive.views.refresh(db)
        if not self._serves(grant):
            raise Gone("the view has been made anew since", remedy="prepare the file again")
        # The rights after the epoch: what changes in between is looked at again.
        judged = (found.epoch, generation)
        if (known is None or known.judged != judged) and not await still_allowed(self.archive, [grant]):
            raise Gone(remedy="prepare the file again")
        if known is not None and not known.ended:
            known.expires, known.checked, known.used, known.judged = asked + grant.life, asked, asked, judged
            return known
        async with self.archive.database.acquire() as db:
            assert grant.image is not None
            assert grant.view is not None
            ready = await self.archive.shelf.load_one(db, grant.image, View(grant.view))
            if ready.version != grant.version:
                raise Gone("the view has been made anew since", remedy="prepare the file again")
        live = Live(grant, ready, None, asked + grant.life, asked, asked, judged)
        if grant.recipient is not None:
            live.sealed, live.clear = await self._sealed(grant, ready), None
        return self._keep(turl, live)

    async def _sealed(self, grant: Grant, ready: ReadyView) -> SealedView:
        assert grant.recipient is not None
        assert grant.secret is not None
        recipient = grant.recipient
        seed = self.archive.keys.unwrap_grant(grant.secret, grant.request, grant.item)
        sealed = await self.archive.cipher.run(lambda: seal(ready, recipient, seed))
        if sealed.context != grant.context:
            raise Gone("the image has changed since", remedy="prepare the file again")
        return sealed

    def _keep(self, turl: bytes, live: Live) -> Live:
        present = self._live.get(turl)
        if present is not None and not present.ended:
            return present
        if present is not None:
            self._drop(turl)
        self._live[turl] = live
        self._weight += live.weight
        while len(self._live) > _CACHED or (self._weight > _CACHED_BYTES and len(self._live) > 1):
            idle = next(
                (t for t, other in self._live.items() if not other.running and other is not live), None
            )
            if idle is None:
                break
            self._drop(idle)
        return live

    def _drop(self, turl: bytes) -> None:
        self._weight -= self._live.pop(turl).weight

    def _forget_ended(self) -> None:
        for turl in [t for t, live in self._live.items() if live.ended and not live.running]:
            self._drop(turl)


async def _as_async(pieces: Iterator[memoryview | BlobSlice]) -> AsyncGenerator[memoryview | BlobSlice, None]:
    for piece in pieces:
        yield piece
