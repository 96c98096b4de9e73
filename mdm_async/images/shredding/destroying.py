"""The destruction of what was shredded: keys first, then rows and stored bytes. It may be begun again at any time."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.holdings import blobs, images
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import keys_to_forget, shreds
from mdm_async.catalog.work.queue import Row
from mdm_async.catalog.work.shreds import SHREDS, Shred, ShreddedImage
from mdm_async.errors import Unavailable
from mdm_async.images.metadata.unnamed_sets import drop_unnamed_sets
from mdm_async.images.shift import Shift
from mdm_async.images.shredding import stores
from mdm_async.images.shredding.finality import Finality, finality
from mdm_async.keys.store import KeyStore
from mdm_async.names import Caller
from mdm_async.postgres.database import Database

LOOK: Final = 5.0
"""Seconds between looks for what is left to do."""
_PAGE: Final = 500
_SOON, _LATER = 5.0, 300.0
"""Seconds until what is not destroyed, or not final, is looked at again."""


@dataclass(frozen=True, slots=True, repr=False)
class Destroyer:
    """Of one node. `backups_days`: how long the site keeps backups; None: it has not said."""

    database: Database
    keys: KeyStore
    blobs: BlobStore
    node: str
    backups_days: float | None

    async def finish(self) -> None:
        """Destroy what was left, here or by another node, and look whether what was destroyed is final by now."""
        async with Shift(self.database, SHREDS, self.node, 1) as shift:

            async def go_on(row: Row) -> None:
                await self.destroy(row.key[0])
                found = await self._get(row.key[0])
                await shift.put_back([row], _SOON if found.destroyed is None else _LATER)

            async for row in shift.rows():
                await shift.attempt(row, go_on)

    async def destroy(self, id_: UUID) -> Finality:
        """All that a shred wrote down, as far as it can be reached now."""
        shred = await self._get(id_)
        if shred.destroyed is None and await self._destroy(shred):
            await self._note(shred, "destroyed")
            shred = await self._get(id_)
        elif shred.destroyed is not None and shred.final is None and await self._is_untold(shred):
            await self._destroy(shred)
        found = await self.finality(shred)
        if found.is_final and shred.final is None:
            await self._note(shred, "final")
        return found

    async def finality(self, shred: Shred) -> Finality:
        """What is missing until it is final."""
        if shred.final is not None:
            return Finality(())
        async with self.database.acquire() as db:
            done = await shreds.stores_done(db, shred.id)
        return finality(shred, done, await self.keys.status(), self.backups_days)

    async def _is_untold(self, shred: Shred) -> bool:
        """Whether a key store came after it."""
        async with self.database.acquire() as db:
            done = {one.store for one in await shreds.stores_done(db, shred.id)}
        return not {store.name for store in (await self.keys.status()).stores} <= done

    async def _get(self, id_: UUID) -> Shred:
        async with self.database.acquire() as db:
            found = await shreds.get(db, id_)
        assert found is not None
        return found

    async def _destroy(self, shred: Shred) -> bool:
        """Whether nothing is left."""
        after, left = UUID(int=0), False
        done: set[str] | None = None
        while True:
            async with self.database.acquire() as db:
                page = await shreds.images_of(db, shred.id, after, _PAGE)
            if not page:
                break
            forgotten, waiting = await self._forget(page)
            done = forgotten if done is None else done & forgotten
            left |= await self._remove(page, waiting) or waiting
            after = page[-1].image
        # What the images said of themselves, where no other says it.
        await drop_unnamed_sets(self.database, self.node)
        epochs = await stores.epochs(self.keys, done or set())
        async with self.database.acquire() as db:
            await shreds.store_done(db, shred.id, epochs)
        return not left

    async def _forget(self, page: Sequence[ShreddedImage]) -> tuple[set[str], bool]:
        """The key stores that have destroyed the keys of these images, and whether one has not."""
        try:
            forgotten = await self.keys.forget(
                [registration for one in page for registration in (one.registration, *one.older)]
            )
        except Unavailable:
            return set(), True
        return set(forgotten.done), bool(forgotten.waiting)

    async def _remove(self, page: Sequence[ShreddedImage], waiting: bool) -> bool:
        """Rows and stored bytes; whether some are left. `waiting`: a key store has not destroyed the keys yet."""
        ids = [one.image for one in page]
        async with self.database.transaction() as db:
            gone = await images.destroy_doomed(db, ids)
            # The sweeper goes on telling it, also while nobody looks at shreds.
            older = [registration for one in page for registration in one.older]
            await keys_to_forget.add(db, [*gone, *older] if waiting else [])
        stored = [blob for one in page for blob in one.blobs]
        deleted = []
        with suppress(Unavailable):
            for blob in stored:
                await self.blobs.delete(blob)
                deleted.append(blob)
        async with self.database.acquire() as db:
            await blobs.forget(db, deleted)
            return any(await shreds.remaining(db, ids, stored))

    async def _note(self, shred: Shred, state: str) -> None:
        who = Caller(shred.caller, frozenset())
        async with self.database.transaction() as db:
            note = shreds.set_destroyed if state == "destroyed" else shreds.set_final
            if await note(db, shred.id):
                await acts.record(db, [Act(who, "shred", state, details={"shred": str(shred.id)})])
