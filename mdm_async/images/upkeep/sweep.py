"""The sweeper: what nobody finished, holds or needs any more goes, file before row."""

from dataclasses import dataclass

from mdm_async.blobs.store import BlobStore
from mdm_async.catalog.grants import grants
from mdm_async.catalog.holdings import blobs, images
from mdm_async.catalog.work import keys_to_forget
from mdm_async.catalog.work.doomed import BLOBS_TO_DELETE, IMAGES_TO_DESTROY
from mdm_async.catalog.work.keys_to_forget import KEYS_TO_FORGET
from mdm_async.catalog.work.queue import Row
from mdm_async.images.metrics import SWEPT
from mdm_async.images.shift import Shift, over_and_over
from mdm_async.images.upkeep.keys import forget_keys, settle_lapsed
from mdm_async.keys.store import KeyStore
from mdm_async.postgres.database import Database

INTERVAL = 10.0
_PAGE = 200


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Of one node; when several sweep, each takes what the others have not."""

    database: Database
    keys: KeyStore
    blobs: BlobStore
    node: str

    async def forever(self) -> None:
        await over_and_over("sweep", self._sweep, INTERVAL)

    async def sweep(self) -> None:
        """All there is to sweep, and what could not be lately too."""
        async with self.database.acquire() as db:
            for queue in (IMAGES_TO_DESTROY, KEYS_TO_FORGET, BLOBS_TO_DELETE):
                await queue.hurry(db)
        await self._sweep()

    async def _sweep(self) -> None:
        """Expired uploads, images without a name, writes whose lease lapsed."""
        await self._end_uploads()
        await self._destroy_images()
        # Before the blobs, of which there may be many: without its secrets an image is gone.
        await forget_keys(self.database, self.keys, self.node)
        await self._delete_blobs()
        # Last: it fails when the key store is away, which keeps nothing from being deleted.
        while await settle_lapsed(self.database, self.keys):
            pass

    async def _end_uploads(self) -> None:
        more = True
        while more:
            async with self.database.transaction() as db:
                looked_at, expired = await grants.expire_uploads(db, _PAGE)
                await images.doom_unreferenced(db, expired)
                more = await blobs.doom_lapsed(db, _PAGE) == _PAGE or looked_at == _PAGE
            SWEPT.labels("upload").inc(len(expired))

    async def _destroy_images(self) -> None:
        async with Shift(self.database, IMAGES_TO_DESTROY, self.node, _PAGE) as shift:
            await shift.pages(self._destroy)

    async def _destroy(self, rows: list[Row]) -> None:
        async with self.database.transaction() as db:
            registrations = await images.destroy_doomed(db, [row.key[0] for row in rows])
            await keys_to_forget.add(db, registrations)
        SWEPT.labels("image").inc(len(registrations))

    async def _delete(self, row: Row) -> None:
        (blob,) = row.key
        await self.blobs.delete(blob)
        async with self.database.acquire() as db:
            await blobs.forget(db, [blob])
        SWEPT.labels("blob").inc()

    async def _delete_blobs(self) -> None:
        async with Shift(self.database, BLOBS_TO_DELETE, self.node, _PAGE) as shift:
            async for row in shift.rows():
                await shift.attempt(row, self._delete)
