"""Transfer URLs of images that are shredded."""

from collections.abc import Collection
from uuid import UUID

from mdm_async.postgres.database import Connection

_LIVE = "('pinned', 'queued', 'staging')"


async def live(db: Connection, images: Collection[UUID]) -> int:
    """How many transfer URLs of these images can be read, or will be."""
    found: int = await db.fetchval(
        "select count(*) from grants where image = any($1::uuid[]) and operation = 'get'"
        f" and state in {_LIVE} and expires > now()",
        list(images),
    )
    return found


async def end(db: Connection, images: Collection[UUID]) -> None:
    """End them; the secrets of those before them go too, by which what was recorded on its way could be opened."""
    await db.execute(
        "update grants set secret = null, context = null,"
        f" state = case when state in {_LIVE} then 'released' else state end"
        " where image = any($1::uuid[]) and operation = 'get'",
        list(images),
    )
