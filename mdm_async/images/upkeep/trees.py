"""Trees that were removed: their rows go a page at a time, whoever takes them, and their images are doomed.

No name leads there since the removal was answered; each page is a transaction, so a node that is killed, or a database
that goes away, only puts off the rest.
"""

from mdm_async.catalog.holdings import images
from mdm_async.catalog.namespace import cut_trees
from mdm_async.catalog.work.queue import Row
from mdm_async.catalog.work.trees_to_remove import TREES_TO_REMOVE
from mdm_async.images.shift import Shift
from mdm_async.postgres.database import Database

_DIRECTORIES, _ENTRIES = 20, 1000


async def remove_trees(database: Database, node: str) -> None:
    """Until nothing is left of them."""
    async with Shift(database, TREES_TO_REMOVE, node, _DIRECTORIES) as shift:

        async def remove(row: Row) -> None:
            (directory,) = row.key
            more = True
            while more:
                async with database.transaction() as db:
                    orphans, more = await cut_trees.remove_page(db, directory, _ENTRIES)
                    await images.doom_unreferenced(db, orphans)
            await shift.done([row])

        async for row in shift.rows():
            await shift.attempt(row, remove)
