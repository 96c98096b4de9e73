"""Views that images do not have yet: made in bulk from the originals, on all cores.

A new profile, scrubber revision or directory means versions that are not there. Until one is made the view is pending,
or an older version that may still be served is. What is made once is kept; when two nodes make it, one wins. All that
is remembered of the work is what it has made, so it goes on wherever it was interrupted.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import structlog

from mdm_async.catalog.holdings import images, profiles
from mdm_async.errors import MdmError
from mdm_async.images.reading.served import Served, ServedViews
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.several import several_at_once
from mdm_async.images.views.remaking import attempt
from mdm_async.images.views.scrubbing import PROCESSES
from mdm_async.images.views.workshop import Workshop
from mdm_async.postgres.database import Database

_BATCH = 200
_PAUSE = 5.0
_AGAIN = 300.0
"""Seconds after which missing views are looked for unasked: a file may have been moved among others."""
AT_ONCE = 2 * PROCESSES

_log = structlog.get_logger()


async def backfill(workshop: Workshop, shelf: Shelf) -> int:
    """Make the missing views of all images; how many were made."""
    database = workshop.depot.database
    async with database.acquire() as db:
        await shelf.served.refresh(db, now=True)
    made = sum([await _backfill(workshop, shelf, served) for served in list(shelf.served)])
    await _drop_leftovers(database, shelf.served)
    return made


async def _drop_leftovers(database: Database, served: ServedViews) -> None:
    """Older versions that were being read when the newer one was made."""
    async with database.acquire() as db:
        doubled = await images.with_older_versions(db, _BATCH)
    for view in doubled:
        if served.serves(view.name, view.version):
            async with database.transaction() as db:
                await images.drop_superseded(db, view)


async def backfill_forever(workshop: Workshop, shelf: Shelf, more_to_make: asyncio.Event) -> None:
    """Run `backfill` at the start, whenever there is `more_to_make`, and now and then."""
    while True:
        more_to_make.clear()
        try:
            made = await backfill(workshop, shelf)
        except MdmError as why:
            _log.warning("making views put off", reason=why.detail)
            await asyncio.sleep(_PAUSE)
            continue
        except Exception as why:  # whatever it was, views must go on being made
            _log.error("making views put off", kind=type(why).__name__)
            await asyncio.sleep(_PAUSE)
            continue
        if made:
            _log.info("made the views that were missing", count=made)
        try:
            async with asyncio.timeout(_AGAIN):
                await more_to_make.wait()
        except TimeoutError:
            pass


async def missing(database: Database, served: Served, directories: Sequence[int]) -> AsyncIterator[UUID]:
    """The images in these directories that do not have this view in its version now in force."""
    after = UUID(int=0)
    while True:
        async with database.acquire() as db:
            batch = await profiles.images_without(db, directories, served.view, served.version, after, _BATCH)
        for image in batch:
            yield image
        if not batch:
            return
        after = batch[-1]


async def _backfill(workshop: Workshop, shelf: Shelf, served: Served) -> int:
    made = 0
    database = workshop.depot.database
    async with database.acquire() as db:
        directories = await profiles.directories_with(db, served.view)

    async def one(image: UUID) -> None:
        nonlocal made
        if await attempt(workshop, shelf, served, image, bulk=True):
            made += 1

    await several_at_once(missing(database, served, directories), one, AT_ONCE)
    return made
