"""Sets of attributes that no image names any more go: the last of a series takes what was said of it along."""

from mdm_async.catalog.metadata import sets
from mdm_async.catalog.metadata.sets import SETS_TO_CHECK
from mdm_async.catalog.work.queue import Row
from mdm_async.images.shift import Shift
from mdm_async.postgres.database import Database

_PAGE = 500


async def drop_unnamed_sets(database: Database, node: str) -> None:
    """Until none is to be looked at."""
    async with Shift(database, SETS_TO_CHECK, node, _PAGE) as shift:

        async def look(rows: list[Row]) -> None:
            async with database.transaction() as db:
                await sets.drop_unnamed(db, await sets.of_rows(db, [row.key[0] for row in rows]))
            await shift.done(rows)

        await shift.pages(look)
