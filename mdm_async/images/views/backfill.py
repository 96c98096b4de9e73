"""Views that images lack, made from the originals on all cores: a page of the queue at a time, by any node.

A new profile, scrubber revision or directory means versions that are not there. Until one is made the view is pending,
or an older version that may still be served is. What is made once is kept; when two nodes make it, one wins.
"""

from functools import partial

from mdm_async.catalog.holdings import images, made_views
from mdm_async.catalog.work import directories_to_check, views_to_make
from mdm_async.catalog.work.directories_to_check import DIRECTORIES_TO_CHECK
from mdm_async.catalog.work.queue import Row
from mdm_async.catalog.work.views_to_make import VIEWS_TO_MAKE
from mdm_async.errors import Gone, NotFound
from mdm_async.images.reading.served import ServedViews
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.several import several_at_once
from mdm_async.images.shift import Shift, over_and_over
from mdm_async.images.views.remaking import make_view
from mdm_async.images.views.scrubbing import PROCESSES
from mdm_async.images.views.workshop import Workshop
from mdm_async.postgres.database import Connection, Database

AT_ONCE = 2 * PROCESSES
_LOOK = 0.5
"""Seconds between looks for work."""
_CHANGED = 1.0
"""Seconds until a view is looked at again for whose making something changed under our hands."""
_LEFT = 5.0
"""Seconds for which a row is left to the nodes of a newer revision."""
_READ = 60.0
"""Seconds until older versions are looked at again that were being read."""


async def check_directories_forever(database: Database, served: ServedViews, node: str) -> None:
    await over_and_over("checking directories", partial(check_directories, database, served, node), _LOOK)


async def make_views_forever(workshop: Workshop, shelf: Shelf, node: str) -> None:
    await over_and_over("making views", partial(make_views, workshop, shelf, node), _LOOK)


async def check_directories(database: Database, served: ServedViews, node: str) -> None:
    """Find the images that lack views in every directory that is to be checked."""
    if await _newer_nodes_do_it(database, served):
        return
    async with Shift(database, DIRECTORIES_TO_CHECK, node, 1) as shift:

        async def check(row: Row) -> None:
            more = True
            while more:
                async with database.transaction() as db:
                    # Only now: what is in force since the row came is what counts.
                    await served.refresh(db, now=True)
                    newer = await views_to_make.left_to_newer_nodes(db, served.basic)
                    more = not newer and await directories_to_check.check_page(db, row, served.newest)
            if newer:
                await shift.put_back([row], _LEFT)
            else:
                await shift.done([row])

        async for row in shift.rows():
            await shift.attempt(row, check)


async def make_views(workshop: Workshop, shelf: Shelf, node: str) -> int:
    """Make the views that are due; how many were made here."""
    database = workshop.depot.database
    if await _newer_nodes_do_it(database, shelf.served):
        return 0
    made = 0
    async with Shift(database, VIEWS_TO_MAKE, node, AT_ONCE) as shift:

        async def make(row: Row) -> None:
            nonlocal made
            image, view = row.key
            async with database.acquire() as db:
                # Only now: what is in force since the row came is what counts.
                await shelf.served.refresh(db, now=True)
                served = shelf.served.get(view)
                if served is None:
                    raise NotFound("this node knows no profile of that name")
                newer = await views_to_make.left_to_newer_nodes(db, shelf.served.basic)
                lack = await views_to_make.lack(db, image, view, served.version, shelf.served.floor)
            if newer:
                await shift.put_back([row], _LEFT)
                return
            if not (lack.gone or lack.made):
                if not await make_view(workshop, shelf, served, image, bulk=True):
                    await shift.put_back([row], _CHANGED)
                    return
                made += 1
            async with database.transaction() as db:
                left = lack.older and await _older_are_left(db, row, served.version, shelf.served.floor)
            if left:
                await shift.put_back([row], _READ)
            else:
                await shift.done([row])

        await several_at_once(shift.rows(), lambda row: shift.attempt(row, make), AT_ONCE)
    return made


async def _older_are_left(db: Connection, row: Row, version: str, floor: int) -> bool:
    """Older versions go when the newer one has been made, unless they are being read."""
    image, view = row.key
    try:
        await images.lock(db, image)
    except Gone:
        return False
    await made_views.drop_superseded(db, image, view, version, floor)
    return (await views_to_make.lack(db, image, view, version, floor)).older


async def _newer_nodes_do_it(database: Database, served: ServedViews) -> bool:
    """A node of an older revision would take what is to be done by the rules of a newer for done."""
    async with database.acquire() as db:
        await served.refresh(db)
        return await views_to_make.left_to_newer_nodes(db, served.basic)
