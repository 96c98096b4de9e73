"""The sweeper: what nobody finished, holds or needs any more goes, file before row."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.grants import grants
from mdm_async.catalog.holdings import blobs, images
from mdm_async.catalog.metadata.sets import SETS_TO_CHECK
from mdm_async.catalog.rights import macaroons
from mdm_async.catalog.work import keys_to_forget
from mdm_async.catalog.work.cohorts_to_remove import COHORTS_TO_REMOVE
from mdm_async.catalog.work.doomed import BLOBS_TO_DELETE, IMAGES_TO_DESTROY
from mdm_async.catalog.work.keys_to_forget import KEYS_TO_FORGET
from mdm_async.catalog.work.queue import Row
from mdm_async.catalog.work.trees_to_remove import TREES_TO_REMOVE
from mdm_async.catalog.work.values_to_forget import VALUES_TO_FORGET
from mdm_async.errors import Unavailable
from mdm_async.images.metadata.unnamed_sets import drop_unnamed_sets
from mdm_async.images.metrics import SWEPT
from mdm_async.images.reading.suspects import suspect
from mdm_async.images.shift import Shift, over_and_over
from mdm_async.images.upkeep.cohorts import give_up_unfinished, remove_cohorts
from mdm_async.images.upkeep.keys import end_superseded, forget_keys, settle_lapsed
from mdm_async.images.upkeep.trees import remove_trees
from mdm_async.images.upkeep.values import forget_values
from mdm_async.keys.store import KeyStore
from mdm_async.postgres.database import Database

INTERVAL = 10.0
LOOK = 0.5
"""Seconds between looks for what was removed, here or by another node: its secrets go at once."""
_PAGE = 1000
_LAPSED_PAGES = 20
_BLOBS = 200
"""One after the other, so that readers and writers of the store are not kept waiting."""
_QUEUES = (
    TREES_TO_REMOVE,
    COHORTS_TO_REMOVE,
    IMAGES_TO_DESTROY,
    KEYS_TO_FORGET,
    SETS_TO_CHECK,
    BLOBS_TO_DELETE,
    VALUES_TO_FORGET,
)

_REMEDY = "somebody writes to the catalog beside mdm: find out who; then mdm fsck --deep"

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Of one node; when several sweep, each takes what the others have not."""

    database: Database
    keys: KeyStore
    blobs: BlobStore
    node: str
    _destroying: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    _deleting: asyncio.Lock = field(default_factory=asyncio.Lock, repr=False)
    """So that whoever sweeps has what this node was at already done when he is."""

    async def forever(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(over_and_over("destruction", self.destroy, LOOK))
            # Beside it: files are many and slow to delete, and without its secrets an image is gone.
            group.create_task(over_and_over("deletion of blobs", self._delete_blobs, INTERVAL))
            group.create_task(over_and_over("sweep", self._give_up, INTERVAL))

    async def sweep(self) -> None:
        """All there is to sweep, and what could not be lately too."""
        for queue in _QUEUES:
            more = True
            while more:
                async with self.database.acquire() as db:
                    more = await queue.hurry(db, _PAGE) == _PAGE
        await self._end_uploads()
        await self.destroy()
        await self._delete_blobs()
        # Last: it fails when the key store is away, which keeps nothing from being deleted.
        await self._settle_lapsed()

    async def destroy(self) -> None:
        """What was removed: names below directories, what cohorts pinned, images, secrets first, what they said."""
        async with self._destroying:
            await remove_trees(self.database, self.node)
            await remove_cohorts(self.database, self.node)
            await self._destroy_images()
            await end_superseded(self.database, self.node)
            await forget_keys(self.database, self.keys, self.node)
            await forget_values(self.database, self.node)
            await drop_unnamed_sets(self.database, self.node)

    async def _give_up(self) -> None:
        """What nobody came back for: expired uploads, cohorts half written down, writes whose lease lapsed, secrets
        that no image names."""
        await self._end_uploads()
        await give_up_unfinished(self.database)
        await self._forget_macaroons()
        await self._settle_lapsed()

    async def _settle_lapsed(self) -> None:
        for _ in range(_LAPSED_PAGES):  # A store that always tells of more does not keep us.
            if not await settle_lapsed(self.database, self.keys):
                return

    async def _end_uploads(self) -> None:
        more = True
        while more:
            async with self.database.transaction() as db:
                looked_at, expired = await grants.expire_uploads(db, _PAGE)
                await images.doom_unreferenced(db, expired)
                more = await blobs.doom_lapsed(db, _PAGE) == _PAGE or looked_at == _PAGE
            SWEPT.labels("upload").inc(len(expired))

    async def _forget_macaroons(self) -> None:
        more = True
        while more:
            async with self.database.acquire() as db:
                more = await macaroons.forget_expired(db, _PAGE) == _PAGE

    async def _destroy_images(self) -> None:
        async with Shift(self.database, IMAGES_TO_DESTROY, self.node, _PAGE) as shift:
            await shift.pages(self._destroy)

    async def _destroy(self, rows: list[Row]) -> None:
        async with self.database.acquire() as db:
            named = await images.keep_named(db, [row.key[0] for row in rows])
        for image in named:
            _log.error(
                "an image was to be destroyed that a file's name points to; it is kept",
                image=str(image),
                remedy=_REMEDY,
            )
        doomed = [row.key[0] for row in rows if row.key[0] not in named]
        async with self.database.acquire() as db:
            registrations = await images.to_destroy(db, doomed)
        forgotten: set[UUID] = set()
        # The key store may be away: it is told later, and that keeps nothing else from going.
        with suppress(Unavailable):
            if not (await self.keys.forget(registrations)).waiting:
                forgotten.update(registrations)
        async with self.database.transaction() as db:
            gone = await images.destroy_doomed(db, doomed)
            await keys_to_forget.add(db, [one for one in gone if one not in forgotten])
        SWEPT.labels("image").inc(len(gone))

    async def _delete_blobs(self) -> None:
        async with self._deleting, Shift(self.database, BLOBS_TO_DELETE, self.node, _BLOBS) as shift:
            while rows := await shift.page():
                deleted: list[Row] = []

                async def delete(row: Row, deleted: list[Row] = deleted) -> None:
                    await self.blobs.delete(row.key[0])
                    deleted.append(row)

                for row in await self._unnamed(rows):
                    await shift.attempt(row, delete)
                async with self.database.acquire() as db:
                    await blobs.forget(db, [row.key[0] for row in deleted])
                SWEPT.labels("blob").inc(len(deleted))

    async def _unnamed(self, rows: list[Row]) -> list[Row]:
        """Those of these blobs that may be deleted; images that need one of the others are looked into."""
        async with self.database.acquire() as db:
            named = await blobs.keep_named(db, [row.key[0] for row in rows])
        for blob, image in named.items():
            suspect(image)
            _log.error(
                "a blob was to be deleted that an image needs; it is kept",
                blob=str(blob),
                image=str(image),
                remedy=_REMEDY,
            )
        return [row for row in rows if row.key[0] not in named]
