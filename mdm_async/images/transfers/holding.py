"""Images that running transfers read are held: eviction and deletion leave them alone. So are the keys that those had
before theirs were changed, and what lies under them.
"""

from mdm_async.catalog.holdings import images, staged
from mdm_async.catalog.work import superseded_keys
from mdm_async.images.transfers.warm import WarmTurls
from mdm_async.postgres.database import Database

HOLD = 60.0
"""Seconds for which an image is held by one call."""


async def hold(database: Database, warm: WarmTurls) -> None:
    """Hold the images of those that run; of all of them, and of those dropped since, it is a use: most reads are over
    before the next call."""
    found = [(one.grant.image, one.ending.running) for one in warm if one.grant.image is not None]
    used = {image for image, _ in found} | warm.dropped()
    if used:
        async with database.acquire() as db:
            await images.use(db, {image for image, running in found if running}, HOLD)
            await images.note_use(db, used)
            await staged.note_use(db, used, HOLD)
    if superseded := set().union(*(one.superseded() for one in warm)):
        async with database.acquire() as db:
            await superseded_keys.hold(db, superseded, HOLD)
