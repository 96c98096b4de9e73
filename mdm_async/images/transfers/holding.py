"""Images that running transfers read are held: eviction and deletion leave them alone."""

from collections.abc import Iterable

from mdm_async.catalog.holdings import images
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.postgres.database import Database

HOLD = 60.0
"""Seconds for which an image is held by one call."""


async def hold(database: Database, turls: Iterable[WarmTurl]) -> None:
    """Hold the images of those that run; of all of them it is a use, for most reads are over before the next call."""
    found = [(warm.grant.image, warm.ending.running) for warm in turls if warm.grant.image is not None]
    if found:
        async with database.acquire() as db:
            await images.use(db, {image for image, running in found if running}, HOLD)
            await images.note_use(db, {image for image, _ in found})
