"""The first site: each of its mirrors is one node's at a time, kept by a lease, which sends to it."""

import asyncio
from dataclasses import dataclass, field
from typing import Final

from mdm_async.catalog.mirrors import mirrors
from mdm_async.catalog.mirrors.mirrors import MIRRORS
from mdm_async.catalog.work.queue import Row
from mdm_async.client.second_site import SecondSite
from mdm_async.errors import Fenced, MdmError
from mdm_async.images.mirroring import metrics
from mdm_async.images.mirroring.credentials import Credentials
from mdm_async.images.mirroring.one_mirror import Sending
from mdm_async.images.mirroring.outfit import Line, Outfit
from mdm_async.images.mirroring.standing import Standing
from mdm_async.images.shift import Shift
from mdm_async.postgres.database import Database

LOOK: Final = 1.0
"""Seconds between looks for mirrors that are nobody's."""
_AT_ONCE: Final = 16
"""Mirrors that are taken in one look."""


@dataclass(slots=True, repr=False)
class Sender:
    """Of one node."""

    outfit: Outfit
    credentials: Credentials
    standing: Standing = field(init=False)

    def __post_init__(self) -> None:
        self.standing = Standing(self.database)

    @property
    def database(self) -> Database:
        return self.outfit.database

    async def forever(self) -> None:
        """Send to each mirror that is no other node's."""
        await self._measure_fenced()
        async with (
            Shift(self.database, MIRRORS, self.outfit.node, _AT_ONCE) as shift,
            asyncio.TaskGroup() as sending,
        ):

            async def work(row: Row) -> None:
                await shift.put_back([row], await self._one(row.key[0]))

            while True:
                for row in await shift.page():
                    sending.create_task(shift.attempt(row, work))
                await asyncio.sleep(LOOK)

    async def _measure_fenced(self) -> None:
        async with self.database.acquire() as db:
            found = await mirrors.listing(db)
        for mirror in found:
            metrics.FENCED.labels(mirror.name).set(mirror.state == "fenced")

    async def _one(self, name: str) -> float:
        """For how many seconds it is let alone."""
        async with self.database.acquire() as db:
            mirror = await mirrors.get(db, name)
        if mirror is None:
            return 0
        self.standing.take(mirror)
        try:
            credential = await self.credentials.opened(mirror.credential, name)
            key = await self.credentials.signing(credential)
            async with (
                SecondSite(mirror.url, credential, key) as site,
                SecondSite(mirror.url, credential, key) as apart,
            ):
                await Sending(Line(self.outfit, mirror, site), self.standing, apart).run()
        except Fenced:
            await self.standing.fence(mirror)
            return 0
        except MdmError as why:
            return await self.standing.put_off(mirror, why)
        return 0
