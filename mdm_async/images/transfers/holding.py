"""Images that running transfers read are held: eviction and deletion leave them alone."""

from collections.abc import Iterable

from mdm_async.catalog.holdings import images
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.postgres.database import Database

HOLD = 60.0
"""Seconds for which an image is held by one call."""


async def hold(database: Database, turls: Iterable[WarmTurl]) -> None:
    """Hold the images of those that run."""
    held = {warm.grant.image for warm in turls if warm.ending.running and warm.grant.image}
    if held:
        async with database.acquire() as db:
            await images.use(db, held, HOLD)
