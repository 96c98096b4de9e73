"""What a first site sends to one mirror: what has changed is read as it is now, and sent, until nothing is left.

Nothing is held of the catalog while the mirror is waited for.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

import structlog

from mdm_async.catalog import installation
from mdm_async.catalog.mirrors import changes, mirrors
from mdm_async.catalog.mirrors.changes import Change
from mdm_async.client.second_site import SecondSite
from mdm_async.client.told_errors import Json
from mdm_async.errors import BadRequest, Conflict, TooLarge
from mdm_async.images.mirroring.outfit import BUSY, PAGE, Line
from mdm_async.images.mirroring.sent_entries import SentEntries
from mdm_async.images.mirroring.sent_profiles import SentProfiles
from mdm_async.images.mirroring.standing import Standing

_TURN: Final = 300.0
"""Seconds after which another node may send."""
_LOOK_AGAIN, _LOOK_FOR_SHREDS, _SAY_HELLO = 1.0, 0.5, 2.0

_log = structlog.get_logger()


@dataclass(slots=True, repr=False)
class Sending:
    """To one mirror, while it is this node's."""

    line: Line
    standing: Standing
    apart: SecondSite
    """For what waits for no file."""
    _said: int = field(init=False)
    """How often the mirror has heard something of entries."""
    _heard: float = float("-inf")

    def __post_init__(self) -> None:
        self._said = self.line.mirror.said

    async def run(self) -> None:
        await self._hello(self.line.site)
        ended = asyncio.Event()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._beside(ended))
                both.create_task(self._send(ended))
        except BaseExceptionGroup as several:
            raise several.exceptions[0] from None

    async def _hello(self, site: SecondSite) -> None:
        database, mirror = self.line.outfit.database, self.line.mirror
        async with database.acquire() as db:
            own = await installation.identity(db)
            complete = await changes.complete(db, mirror.name)
        said = int((await site.hello(own, mirror.epoch, complete))["said"])
        if said < self._said:
            raise Conflict(
                "the second site was set back to an earlier state: it lacks what it has had",
                remedy="mdm mirror stop NAME, and mirror to an empty directory",
            )
        self._said = said
        async with database.acquire() as db:
            await mirrors.heard(db, mirror, self.line.outfit.node, said)
            lag = await changes.lag(db, mirror.name)
        self.standing.measure(mirror.name, lag)
        self._heard = asyncio.get_running_loop().time()

    async def _send(self, ended: asyncio.Event) -> None:
        now = asyncio.get_running_loop().time
        until = now() + _TURN
        try:
            while now() < until and await self._is_followed():
                try:
                    await asyncio.sleep(0 if await self._some() else _LOOK_AGAIN)
                except BUSY as why:
                    await asyncio.sleep(await self.standing.put_off(self.line.mirror, why))
        finally:
            ended.set()

    async def _is_followed(self) -> bool:
        async with self.line.outfit.database.acquire() as db:
            return await mirrors.is_followed(db, self.line.mirror.name)

    async def _some(self) -> bool:
        """Whether there may be more to send."""
        async with self.line.outfit.database.acquire() as db:
            page = await changes.page(db, self.line.mirror.name, PAGE, shreds=False)
        if page:
            await self._changes(page)
        more = True if page else await self._tell_acts()
        await self.standing.goes_on(self.line.mirror)
        return more

    async def _changes(self, page: Sequence[Change]) -> None:
        entries, profiles = SentEntries(self.line), SentProfiles(self.line)
        await entries.look_inside([change for change in page if change.kind == "inside"])
        await profiles.send([change for change in page if change.kind in ("profile", "mapping")])
        if changed := [change for change in page if change.kind == "entry"]:
            await entries.send(changed)

    async def _beside(self, ended: asyncio.Event) -> None:
        """What waits for no file: shreds, and whether the mirror follows still."""
        while True:
            if asyncio.get_running_loop().time() - self._heard >= _SAY_HELLO:
                with suppress(*BUSY):
                    await self._hello(self.apart)
            async with self.line.outfit.database.acquire() as db:
                page = await changes.page(db, self.line.mirror.name, PAGE, shreds=True)
            if page:
                images = [change.guid for change in page if change.guid is not None]
                await self.apart.shred(self.line.mirror.epoch, images)
                async with self.line.outfit.database.acquire() as db:
                    await changes.done(db, page)
            elif ended.is_set():
                return
            else:
                await asyncio.sleep(_LOOK_FOR_SHREDS)

    async def _tell_acts(self) -> bool:
        """Whether there may be more."""
        async with self.line.outfit.database.acquire() as db:
            rows, upto = await mirrors.acts_to_tell(db, self.line.mirror, PAGE)
        if not upto:
            return False
        await self._acts(rows)
        async with self.line.outfit.database.acquire() as db:
            await mirrors.told(db, self.line.mirror, upto)
        return True

    async def _acts(self, rows: Sequence[Json]) -> None:
        if not rows:
            return
        try:
            await self.line.site.acts(self.line.mirror.epoch, rows)
        except (BadRequest, TooLarge) as why:
            if len(rows) == 1:
                _log.warning(
                    "a mirror does not take a row of the audit", row=rows[0]["id"], reason=why.detail
                )
                return
            # One of them, or all together.
            half = len(rows) // 2
            await self._acts(rows[:half])
            await self._acts(rows[half:])
