"""Cohorts that were deleted: what they pinned is let go of, a page at a time, whoever takes it.

Images that no entry points to, and no other cohort pins, are doomed; superseded versions of views are looked at again
by whoever makes views.
"""

from mdm_async.catalog.cohorts import cohorts, members
from mdm_async.catalog.holdings import images
from mdm_async.catalog.work import views_to_make
from mdm_async.catalog.work.cohorts_to_remove import COHORTS_TO_REMOVE
from mdm_async.catalog.work.queue import Row
from mdm_async.images.shift import Shift
from mdm_async.postgres.database import Database

_COHORTS, _MEMBERS, _UNFINISHED = 20, 1000, 100


async def remove_cohorts(database: Database, node: str) -> None:
    """Until nothing is left of them."""
    async with Shift(database, COHORTS_TO_REMOVE, node, _COHORTS) as shift:

        async def remove(row: Row) -> None:
            (cohort,) = row.key
            more = True
            while more:
                async with database.transaction() as db:
                    pins = await members.remove_page(db, cohort, _MEMBERS)
                    await images.doom_unreferenced(db, {image for image, _, _ in pins})
                    await views_to_make.add(db, await members.beside_others(db, pins))
                more = len(pins) == _MEMBERS
            await shift.done([row])

        async for row in shift.rows():
            await shift.attempt(row, remove)


async def give_up_unfinished(database: Database) -> None:
    """Those whose makers never came back."""
    more = True
    while more:
        async with database.acquire() as db:
            more = await cohorts.give_up_unfinished(db, _UNFINISHED) == _UNFINISHED
