"""Images are brought from an archive for those who wait for them: each once, and no more at once than it allows.

The line is rows of the catalog. A node that dies leaves its rows to others, or to itself, once their leases lapse. An
archive that does not answer is left alone for a while, longer each time; whoever waits goes on waiting.
"""

import asyncio
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from mdm_async.catalog.grants import waiting
from mdm_async.catalog.holdings import locality, sources
from mdm_async.catalog.holdings.locality import Locality
from mdm_async.catalog.work import images_to_stage
from mdm_async.catalog.work.queue import Row
from mdm_async.errors import (
    CacheFull,
    CacheTooSmall,
    Damaged,
    Gone,
    Lost,
    MdmError,
    NotDicom,
    NotFound,
    PeerFailed,
    SourceAway,
    SourceBusy,
    TooLarge,
    Truncated,
    Unavailable,
    WrongContent,
)
from mdm_async.images.metrics import STAGED
from mdm_async.images.shift import Shift, over_and_over
from mdm_async.images.transfers.staging import Line, Waiters
from mdm_async.pacs.sources.fetching import Fetcher
from mdm_async.pacs.sources.settling import dropped, settle
from mdm_async.pacs.sources.together import Series
from mdm_async.postgres.database import Database
from mdm_async.seldom import Seldom

_LOOK: Final = 1.0
"""Seconds between looks for those whom other nodes have put into the line."""
_CLOCK: Final = 60.0
"""Seconds between looks at the clock, which somebody may set."""
_ATTEMPTS: Final = 4
"""After so many an answer that is wrong is taken for the archive's last word."""
_BUSY: Final = 3
"""So many answers, one after the other, that it has no time are taken to be about all, and not about one file."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
"""Seconds that an archive is left alone which does not answer; doubled each time."""

_ROOM_PAUSE, _LONGEST_ROOM_PAUSE = 0.5, 2.0
"""Seconds between looks for room, while there is none; the next in the line is tried then."""

_NO_ROOM: Final = Seldom(1)
"""Of each archive."""
_log = structlog.get_logger()


@dataclass(slots=True)
class Bringer:
    """Of one archive, on one node."""

    fetcher: Fetcher
    line: Line
    waiters: Waiters
    node: str
    _pause: float = 0.0
    _room_pause: float = 0.0
    _busy: int = 0
    """How often it has said so since it last gave an image."""
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def _name(self) -> str:
        return self.fetcher.source.name

    @property
    def _database(self) -> Database:
        return self.fetcher.database

    async def forever(self) -> None:
        await over_and_over(f"bringing images from {self._name}", self._bring, _LOOK)

    async def _bring(self) -> None:
        queue = images_to_stage.of_archive(self._name)
        async with Shift(self._database, queue, self.node, 1) as shift, asyncio.TaskGroup() as tasks:
            while True:
                self.line.more.clear()
                await self._room()
                if rows := await self._next(shift):
                    task = tasks.create_task(self._attempt(shift, rows))
                    self._running.add(task)
                    task.add_done_callback(self._running.discard)
                else:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self.line.more.wait(), _LOOK)

    async def _next(self, shift: Shift) -> list[Row]:
        """What is asked for next: one image, or several of a series. None also while the catalog is away: what is
        running goes on.
        """
        rows: list[Row] = []
        with suppress(Unavailable):
            rows = await shift.page()
            if rows and not self.line.is_full:
                rows = await self._series(shift).taken(rows[0]) or rows
        return rows

    def _series(self, shift: Shift) -> Series:
        return Series(self.fetcher, self.waiters, shift)

    async def _attempt(self, shift: Shift, rows: list[Row]) -> None:
        try:
            if len(rows) > 1:
                await self._together(shift, rows)
            else:
                await shift.attempt(rows[0], partial(self._one, shift))
        except Unavailable:
            # What the catalog cannot be told now it is told by the lease, which lapses.
            shift.let_go(rows)

    async def _together(self, shift: Shift, rows: list[Row]) -> None:
        series, begun = self._series(shift), time.monotonic()
        try:
            left = await series.bring(rows)
        except SourceAway as why:
            if self._is_of_one_file(why):
                await shift.put_back(rows, why.retry_after or _FIRST_PAUSE)
                return
            await self._away(rows[0].key[0], why)
            if isinstance(why, SourceBusy):  # it may have no time for a whole series ever
                await series.leave(rows)
            else:
                await shift.put_back(rows, self._pause)
            return
        if came := len(rows) - len(left):
            self.line.is_full = False
            self.line.took((time.monotonic() - begun) / came)
            self._answers()
        await series.leave(left)
        self.line.more.set()

    async def _room(self) -> None:
        """Returns when one more image may be asked for; one alone tries an archive that was away."""
        while True:
            line = self.line
            if (closed := line.closed()) > 0:
                await asyncio.sleep(min(closed, _CLOCK))
            elif (left := max(line.away_until, line.full_until) - _now()) > 0:
                await asyncio.sleep(left)
            elif len(self._running) >= (1 if line.away_for or line.is_full else line.at_once):
                await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            else:
                return

    async def _one(self, shift: Shift, row: Row) -> None:
        """Bring one image, unless nobody waits any more, and let those have it who do."""
        image: UUID = row.key[0]
        while True:
            async with self._database.acquire() as db:
                where = (await locality.of_images(db, [image])).get(image)
                waits = where is not None and await waiting.anybody(db, image)
            failure: MdmError | None = None
            if where is None:
                failure = Gone("the file has just been deleted")
            elif not where.is_online:
                if not waits:
                    if await dropped(self._database, row):
                        # What a node that was killed had set aside.
                        await self.fetcher.cache.give_up(image)
                        return
                    continue  # somebody has come meanwhile, for whom it is to be brought
                try:
                    failure = await self._brought(row, image)
                except SourceAway as why:
                    if self._is_of_one_file(why):
                        if why.retry_after is None:
                            raise
                        await shift.put_back([row], why.retry_after)
                        async with self._database.acquire() as db:
                            await images_to_stage.to_the_end(db, [image])
                        return
                    await self._away(image, why)
                    await shift.put_back([row], self._pause)
                    return
                except CacheFull as why:
                    await self._wait_for_room(image, why)
                    await shift.put_back([row], _ROOM_PAUSE)
                    return
                if failure is not None:
                    STAGED.labels("lost" if isinstance(failure, Damaged) else "refused").inc()
            await settle(self.waiters, row, failure)
            return

    async def _brought(self, row: Row, image: UUID) -> MdmError | None:
        """Why the image cannot be had, for good. Raises SourceAway, and what may be otherwise at the next attempt."""
        begun = time.monotonic()
        try:
            await self.fetcher.fetch(image)
        except Gone as why:  # removed meanwhile, or brought by somebody else
            async with self._database.acquire() as db:
                where = (await locality.of_images(db, [image])).get(image)
            return None if where is not None and where.is_online else why
        except Damaged as why:
            return why
        except CacheFull as why:
            if not isinstance(why, CacheTooSmall) and not self.fetcher.cache.refuses:
                raise
            return why
        except NotFound:
            async with self._database.acquire() as db:
                await sources.found(db, image, Locality.LOST)
            return Lost(
                "the file is lost: the archive that it was registered at has it no more",
                remedy="ask who runs the archive; put the file itself, or remove its name: mdm rm",
            )
        except Truncated:
            return PeerFailed(
                "the file that the archive keeps is cut short", remedy="ask who runs the archive"
            )
        except (WrongContent, TooLarge, NotDicom) as why:
            return PeerFailed(f"what the archive sent is not taken: {why.detail}", remedy=why.remedy)
        except PeerFailed as why:
            async with self._database.acquire() as db:
                attempts = await images_to_stage.attempts(db, row)
            if attempts < _ATTEMPTS:
                raise
            return why
        self.line.took(time.monotonic() - begun)
        self.line.is_full = False
        self._answers()
        return None

    def _is_of_one_file(self, why: SourceAway) -> bool:
        """Whether the archive may have time for others: until it has said several times, one after the other, that it
        has none.
        """
        if not isinstance(why, SourceBusy) or self.line.away_for:
            return False
        self._busy += 1
        return self._busy < _BUSY

    async def _away(self, image: UUID, why: SourceAway) -> None:
        """Leave the archive alone for a while. Of several that fail together the first counts."""
        if self.line.away_until <= _now():
            self._pause = min(2 * self._pause, _LONGEST_PAUSE) if self._pause else _FIRST_PAUSE
            self._pause = max(self._pause, why.retry_after or 0)
            self.line.away_until = _now() + self._pause
            if not self.line.away_for:
                _log.warning("an archive is away", archive=self._name, reason=why.detail)
            self.line.away_for = why.detail
        STAGED.labels("away").inc()
        async with self._database.acquire() as db:
            await images_to_stage.wait_no_more(db, image)
            await sources.found(db, image, Locality.UNAVAILABLE)

    async def _wait_for_room(self, image: UUID, why: CacheFull) -> None:
        """Others are tried before this image is again, unless it has waited for long."""
        line = self.line
        if (unsaid := _NO_ROOM.tell(self._name)) is not None:
            told = {"archive": self._name, "quota": self.fetcher.cache.settings.quota, "remedy": why.remedy}
            _log.warning("there is no room for images of an archive", **told, **unsaid)
        if not line.is_full:
            self._room_pause = _ROOM_PAUSE
        line.is_full, line.full_until = True, _now() + self._room_pause
        self._room_pause = min(2 * self._room_pause, _LONGEST_ROOM_PAUSE)
        line.room_by = _now() + why.retry_after if why.retry_after is not None else line.room_by
        async with self._database.acquire() as db:
            await waiting.put_off(db, image)
            if await images_to_stage.wait_for_room(db, image):
                await images_to_stage.to_the_front(db, image)
            else:
                await images_to_stage.to_the_end(db, [image])

    def _answers(self) -> None:
        if self.line.away_for:
            _log.info("an archive is back", archive=self._name)
        self._pause, self._busy, self.line.away_until, self.line.away_for = 0.0, 0, 0.0, ""
        self.line.has_answered = True


def _now() -> float:
    return asyncio.get_running_loop().time()
