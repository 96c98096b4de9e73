"""Images that are to be brought from archives: who waits for them, for how long about, and how they stop waiting."""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from math import ceil
from typing import Final
from uuid import UUID

from mdm_async.catalog.grants import grants, waiting
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.grants.waiting import Waiter
from mdm_async.catalog.holdings import locality, sources, vanished
from mdm_async.catalog.work import images_to_stage
from mdm_async.errors import Gone, MdmError, NotOnline, Unavailable
from mdm_async.hours import Hours
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.fairness.desk import Desk
from mdm_async.images.reading.sealed import seal
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.transfers.cache import Cache
from mdm_async.images.transfers.long_pins import lives
from mdm_async.names import Caller, View
from mdm_async.postgres.database import Connection, Database

_COUNTED: Final = 1000
"""A longer line is not counted to its end."""
_AT_ONCE: Final = 64
_FIRST_GUESS: Final = 1.0
"""Seconds that one image takes, before one was brought."""
_LATELY: Final = 0.2
"""How much the newest image counts in the mean."""


@dataclass(slots=True)
class Line:
    """Those who wait for one archive, which brings `at_once` images side by side. Times by the loop's clock."""

    archive: str
    at_once: int
    more: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when somebody has joined it on this node."""
    seconds: float = _FIRST_GUESS
    """That one image has taken lately."""
    away_until: float = 0.0
    """It was not to be reached, and is not asked before."""
    away_for: str = ""
    """Why; empty while it answers."""
    full_until: float = 0.0
    """There was no room for what it would have sent, and is not looked for before."""
    is_full: bool = False
    room_by: float = 0.0
    """When there will be room by what is known of pins, unless they are released before."""
    has_answered: bool = False
    """When it was last asked for an image. Nobody knows before the first time."""

    hours: Hours | None = None
    """In which it may be asked for images; None: in any."""

    def closed(self) -> float:
        """Seconds until it may be asked again; 0 when it may be now."""
        return self.hours.closed(time.time()) if self.hours is not None else 0.0

    def held_up(self) -> str:
        """Why it is asked for nothing just now, for whoever waits; empty while it is."""
        if self.closed() > 0:
            return f"its archive may be asked {self.hours} only"
        if self.away_for:
            return "its archive does not answer"
        return "the cache is full until something is released" if self.is_full else ""

    def took(self, seconds: float) -> None:
        self.seconds += _LATELY * (seconds - self.seconds)

    def wait(self, ahead: int) -> int:
        """About how many seconds it takes until so many images and one more are here."""
        now = asyncio.get_running_loop().time()
        away = max(self.away_until - now, self.room_by - now if self.is_full else 0, 0)
        wait = away + self.seconds * ceil((ahead + 1) / self.at_once)
        return max(1, ceil(wait if self.hours is None else self.hours.done(time.time(), wait)))


@dataclass(frozen=True, slots=True)
class Staging:
    """Of this node; `lines` by the archives' names."""

    lines: Mapping[str, Line]
    cache: Cache | None = None

    async def refusal(self) -> MdmError | None:
        """Why nothing can be brought just now, where nobody waits for room."""
        return await self.cache.refusal() if self.cache is not None else None

    def asked(self, hits: int, misses: int) -> None:
        """Files were asked for that archives have too: they were here, or not."""
        if self.cache is not None:
            self.cache.asked(hits, misses)

    def held_up(self, archive: str) -> str:
        """What files of it wait for other than their turn; empty where nothing holds them up."""
        return self.lines[archive].held_up() if archive in self.lines else ""

    async def waits(
        self, db: Connection, caller: Caller, images: Sequence[UUID]
    ) -> dict[UUID, tuple[str, int] | NotOnline]:
        """Of images that are not here: the archive that is asked for each, and the estimated wait in seconds; or that
        it has it no more. Those that no archive of the settings has are left out.
        """
        if not self.lines or not images:
            return {}
        archives = await sources.archives(db, images)
        waits = {
            pacs: self.lines[pacs].wait(await images_to_stage.ahead(db, pacs, caller.payer.room, _COUNTED))
            for pacs in set(archives.values())
            if pacs in self.lines
        }
        gone = dict.fromkeys(
            await vanished.of_images(db, list(archives)),
            NotOnline(
                "the archive that the file was registered at lists it no more",
                remedy="ask who runs the archive: `mdm pacs register` finds it again when it is back; or put the file "
                "itself, or remove its name: mdm rm",
            ),
        )
        return {image: (pacs, waits[pacs]) for image, pacs in archives.items() if pacs in waits} | gone

    def wake(self, archives: Iterable[str]) -> None:
        for pacs in set(archives):
            self.lines[pacs].more.set()


NOTHING_STAGED: Final = Staging({})


@dataclass(frozen=True, slots=True)
class Waits:
    """One file that is not here yet; `seconds` is an estimate."""

    surl: str
    view: View
    archive: str
    seconds: int


@dataclass(frozen=True, slots=True)
class Waiters:
    """Lets those who wait for an image have it, or know why they cannot."""

    database: Database
    shelf: Shelf
    cipher: CipherPool
    desk: Desk
    cache: Cache

    async def some(self, image: UUID) -> list[Waiter]:
        async with self.database.acquire() as db:
            return await waiting.of_image(db, image, _AT_ONCE)

    async def serve(self, waiters: Sequence[Waiter]) -> None:
        """Their image is here: pin it for each who is to read it; who cannot is told why."""
        for waiter in waiters:
            try:
                await self._serve(waiter)
            except Unavailable:
                raise
            except MdmError as why:
                await self.fail([waiter], why)

    async def fail(self, waiters: Sequence[Waiter], why: MdmError) -> None:
        async with self.database.acquire() as db:
            for waiter in waiters:
                await waiting.fail(db, waiter.grant, why)
        for waiter in waiters:
            self.desk.end(waiter.grant.request, 1)

    async def _serve(self, waiter: Waiter) -> None:
        grant = waiter.grant
        if grant.operation == "bring_online":
            assert grant.image is not None
            async with self.database.transaction() as db:
                where = (await locality.of_images(db, [grant.image])).get(grant.image)
                if where is None or not where.is_online:
                    raise NotOnline("the file is not here after all", remedy="ask for it again")
                if await waiting.brought(db, grant):
                    await self._keep(db, grant, grant.life)
            self.desk.end(grant.request, 1)
            return
        if grant.image is None or grant.view is None or grant.secret is None:
            raise Gone("the request was ended")
        view = await self.shelf.load_one(self.database, grant.image, View(grant.view))
        context = None
        if grant.recipient is not None:
            seed = self.shelf.keys.unwrap_grant(grant.secret, grant.request, grant.item)
            context = (await self.cipher.run(partial(seal, view, grant.recipient, seed))).context
        async with self.database.transaction() as db:
            pinned = await grants.pin(db, grant, view.version, waiter.asked, context)
            asked = await self._keep(db, grant, waiter.asked) if pinned else 0
        if not pinned:
            # It may have been ended by its caller, and stays so then.
            raise Gone("the credential that the file was asked for with has ended")
        self.desk.extend(grant.request, asked)

    async def _keep(self, db: Connection, grant: Grant, asked: float) -> float:
        """How long its pin, just made, lives (seconds): no longer than usual beyond its caller's share of the cache."""
        if grant.keeper is None or grant.image is None:
            return asked
        found = await lives(db, self.cache, grant.keeper, [grant.image], asked)
        if grant.image in found.cached:
            life, keeps = found.of(grant.image), found.keeps(grant.image)
            await grants.keep(db, [replace(grant, life=life, keeps=keeps)])
        return found.of(grant.image)
