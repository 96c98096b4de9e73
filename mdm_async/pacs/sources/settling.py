"""How waiting for an image ends: for each who waits, and then for its row, which stays as long as anybody does."""

from collections.abc import Collection
from functools import partial
from typing import Final

from mdm_async.catalog.grants import waiting
from mdm_async.catalog.work import images_to_stage
from mdm_async.catalog.work.queue import Row
from mdm_async.errors import MdmError, NotOnline
from mdm_async.images.shift import Shift, over_and_over
from mdm_async.images.transfers.staging import Waiters
from mdm_async.postgres.database import Database

_LOOK: Final = 60.0
"""Seconds between looks for those who wait for archives that nobody asks."""
_PAGE: Final = 50


async def settle(waiters: Waiters, row: Row, failure: MdmError | None) -> None:
    """Those who wait are told why the image cannot be had, or served when it is here, until nobody is left; then the
    row goes."""
    while True:
        if for_ := await waiters.some(row.key[0]):
            if failure is not None:
                await waiters.fail(for_, failure)
            else:
                await waiters.serve(for_)
        elif await dropped(waiters.database, row):
            return


async def dropped(database: Database, row: Row) -> bool:
    """Drop the row unless somebody waits; whether it is there no more, or another's by now."""
    # Nobody can begin to wait while the row is locked, and is seen who did before.
    async with database.transaction() as db:
        if await images_to_stage.lock(db, row):
            if await waiting.of_image(db, row.key[0], 1):
                return False
            await images_to_stage.IMAGES_TO_STAGE.done(db, [row])
    return True


async def end_others_forever(waiters: Waiters, known: Collection[str], node: str) -> None:
    """Tell those who wait for archives that are in the settings no more. `known`: those that are."""
    queue = images_to_stage.of_others(known)
    why = NotOnline(
        "the archive that has this file is not asked any more",
        remedy="an administrator names it again: pacs.sources",
    )

    async def end() -> None:
        async with Shift(waiters.database, queue, node, _PAGE) as shift:
            async for row in shift.rows():
                await shift.attempt(row, partial(settle, waiters, failure=why))

    await over_and_over("ending what waits for unknown archives", end, _LOOK)
