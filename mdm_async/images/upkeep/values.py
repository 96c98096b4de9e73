"""Values of attributes that are no more: their rows go a page at a time."""

from mdm_async.catalog.work.queue import Row
from mdm_async.catalog.work.values_to_forget import VALUES_TO_FORGET, forget_page
from mdm_async.images.shift import Shift
from mdm_async.postgres.database import Database

_ATTRIBUTES, _VALUES = 20, 1000


async def forget_values(database: Database, node: str) -> None:
    """Until none is left of them."""
    async with Shift(database, VALUES_TO_FORGET, node, _ATTRIBUTES) as shift:

        async def forget(row: Row) -> None:
            more = True
            while more:
                async with database.transaction() as db:
                    more = await forget_page(db, row.key[0], _VALUES)
            await shift.done([row])

        async for row in shift.rows():
            await shift.attempt(row, forget)
