"""Images to index: stored before there was an index, or before it had the attributes that it has now.

When a node comes with a newer table of attributes, all images are looked through once, in the order of their ids.
"""

from uuid import UUID

from mdm_async.catalog.work.queue import Queue
from mdm_async.postgres.database import Connection

IMAGES_TO_INDEX = Queue("images to index", "images_to_index", ("image",), ("uuid",))
_FIRST = UUID(int=0)


async def begin(db: Connection, revision: int) -> None:
    """When a node starts: look through everything if none before it had so new a table."""
    await db.execute(
        "update installation set index_revision = $1, indexed_after = $2 where index_revision < $1",
        revision,
        _FIRST,
    )


async def left_to_newer_nodes(db: Connection, revision: int) -> bool:
    """Whether a node with a newer table has been started."""
    return bool(await db.fetchval("select index_revision > $1 from installation", revision))


async def add(db: Connection, image: UUID) -> None:
    """One that lacks something of what is made when images are looked through."""
    await db.execute("insert into images_to_index (image) values ($1) on conflict do nothing", image)


async def add_page(db: Connection, count: int) -> bool:
    """The next images, in a transaction; whether there may be more."""
    after = await db.fetchval(
        "select indexed_after from installation where indexed_after is not null for update"
    )
    if after is None:
        return False
    last = await db.fetchval(
        "with page as materialized ("
        "  select id, doomed from images where id > $1 order by id limit $2"
        "), added as ("
        "  insert into images_to_index (image) select id from page where doomed is null on conflict do nothing"
        ") select id from page order by id desc limit 1",
        after,
        count,
    )
    await db.execute("update installation set indexed_after = $1", last)
    return last is not None
