"""The sweeper: what nobody finished, holds or needs any more goes, file before row."""

import asyncio
from uuid import UUID

import structlog

from mdm_async.catalog.grants import grants
from mdm_async.catalog.holdings import blobs, images
from mdm_async.catalog.work import keys_to_forget
from mdm_async.errors import MdmError
from mdm_async.images.archive import Archive
from mdm_async.images.metrics import SWEPT
from mdm_async.images.upkeep.keys import forget_keys, settle_lapsed

INTERVAL = 10.0
_BATCH = 200

_log = structlog.get_logger()


async def sweep_forever(archive: Archive) -> None:
    while True:
        try:
            while await sweep(archive):
                pass
        except MdmError as why:
            _log.warning("sweep put off", reason=why.detail)
        except Exception as why:  # whatever it was, the next sweep is due
            _log.error("sweep failed", kind=type(why).__name__)
        await asyncio.sleep(INTERVAL)


async def sweep(archive: Archive) -> bool:
    """One pass: expired uploads, images without a name, writes whose lease lapsed, grants of days long over.

    True when there may be more of it than a pass takes.
    """
    async with archive.database.transaction() as db:
        await grants.keep_partitions(db)
        expired = await grants.expire_uploads(db, _BATCH)
        await images.doom_unreferenced(db, expired)
        SWEPT.labels("upload").inc(len(expired))
    async with archive.database.transaction() as db:
        registrations = await images.destroy_doomed(db, _BATCH)
        await keys_to_forget.add(db, registrations)
        SWEPT.labels("image").inc(len(registrations))
    more = await forget_keys(archive.database, archive.keys)
    more |= await settle_lapsed(archive.database, archive.keys)
    async with archive.database.acquire() as db:
        await blobs.doom_lapsed(db)
        doomed = await blobs.doomed(db, _BATCH)
        deleted = [blob for blob in doomed if await _deleted(archive, blob)]
        await blobs.forget(db, deleted)
        SWEPT.labels("blob").inc(len(deleted))
    return more or _BATCH in (len(expired), len(registrations), len(deleted))


async def _deleted(archive: Archive, blob: UUID) -> bool:
    """One file that cannot be deleted must not keep all others."""
    try:
        await archive.blobs.delete(blob)
    except MdmError as why:
        _log.warning("a blob stays for now", blob=str(blob), reason=why.detail)
        return False
    return True
