"""Views that images do not have yet: made in bulk from the originals, on all cores.

A new profile, scrubber revision or directory means versions that are not there. Until one is made the view is pending,
or an older version that may still be served is. What is made once is kept; when two nodes make it, one wins. All that
is remembered of the work is what it has made, so it goes on wherever it was interrupted.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from uuid import UUID

import structlog

from mdm_async.catalog.holdings import blobs, images, profiles
from mdm_async.catalog.holdings.images import Part
from mdm_async.errors import Gone, MdmError
from mdm_async.images.archive import Archive
from mdm_async.images.parts.leases import Leases
from mdm_async.images.reading.served import Served
from mdm_async.images.several import several_at_once
from mdm_async.images.views.making import Made, Maker
from mdm_async.images.views.originals import source_of
from mdm_async.images.views.scrubbing import PROCESSES
from mdm_async.postgres.database import Connection

_BATCH = 200
_PAUSE = 5.0
_AGAIN = 300.0
"""Seconds after which missing views are looked for unasked: a file may have been moved among others."""
AT_ONCE = 2 * PROCESSES

_log = structlog.get_logger()


async def backfill(archive: Archive) -> int:
    """Make the missing views of all images; how many were made."""
    async with archive.database.acquire() as db:
        await archive.views.refresh(db, now=True)
    made = sum([await _backfill(archive, served) for served in list(archive.views)])
    await _drop_leftovers(archive)
    return made


async def _drop_leftovers(archive: Archive) -> None:
    """Older versions that were being read when the newer one was made."""
    async with archive.database.acquire() as db:
        doubled = await images.with_older_versions(db, _BATCH)
    for view in doubled:
        if archive.views.serves(view.name, view.version):
            async with archive.database.transaction() as db:
                await images.drop_superseded(db, view)


async def backfill_forever(archive: Archive) -> None:
    """Run `backfill` at the start, whenever there is `more_to_make`, and now and then."""
    while True:
        archive.more_to_make.clear()
        try:
            made = await backfill(archive)
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
                await archive.more_to_make.wait()
        except TimeoutError:
            pass


async def missing(archive: Archive, served: Served, directories: Sequence[int]) -> AsyncIterator[UUID]:
    """The images in these directories that do not have this view in its version now in force."""
    after = UUID(int=0)
    while True:
        async with archive.database.acquire() as db:
            batch = await profiles.images_without(db, directories, served.view, served.version, after, _BATCH)
        for image in batch:
            yield image
        if not batch:
            return
        after = batch[-1]


async def _backfill(archive: Archive, served: Served) -> int:
    made = 0
    async with archive.database.acquire() as db:
        directories = await profiles.directories_with(db, served.view)

    async def one(image: UUID) -> None:
        nonlocal made
        if await attempt(archive, served, image, bulk=True):
            made += 1

    await several_at_once(missing(archive, served, directories), one, AT_ONCE)
    return made


async def attempt(archive: Archive, served: Served, image: UUID, *, bulk: bool = False) -> bool:
    """As `make_view`; what fails is logged, and stays pending."""
    try:
        if not archive.views.in_force(served):
            return False  # replaced while this runs; the next round is due already
        return await make_view(archive, served, image, bulk=bulk)
    except MdmError as why:
        # One damaged image must not keep the others waiting; the next round tries it again.
        _log.warning("a view could not be made", image=str(image), reason=why.detail)
    except Exception as why:  # a mistake of ours, on this image; its message could quote the file
        _log.error("a view could not be made", image=str(image), kind=type(why).__name__)
    return False


async def _demand_pixels(db: Connection, made: Made, parts: Sequence[Part]) -> None:
    """Raises Gone when pixels that another view shared have been dropped with that view meanwhile."""
    ours = {part.id for part in parts}
    if made.pixels is not None and made.pixels not in ours and not await images.parts(db, [made.pixels]):
        raise Gone("the pixels to be shared have just been dropped")


async def make_view(archive: Archive, served: Served, image: UUID, *, bulk: bool = False) -> bool:
    """Make one view of an image from its original; False when another node did, or the image has gone."""
    try:
        async with Leases(archive.database, archive.blobs, archive.settings.blobs.lease_seconds) as leases:
            source = await source_of(archive, leases, image)
            async with archive.database.acquire() as db:
                released = await profiles.is_released(db, image, served.view)
            maker = Maker(archive, leases, served, released=released, bulk=bulk)
            made = await maker.make(source, maker.begin(source.head))
            parts = list(made.parts)
            if source.pixels is not None:
                parts += await source.pixels.drop_unused({made.pixels} if made.pixels else set())
            async with archive.database.transaction() as db:
                await images.lock(db, image)
                await archive.views.refresh(db, now=True)
                if not archive.views.in_force(served):
                    raise Gone("the profile has been replaced")
                await _demand_pixels(db, made, parts)
                await blobs.settle(db, list(leases.blobs))
                if not await images.add_view(db, parts, made.view):
                    raise Gone("another node made the view first")
                await images.drop_superseded(db, made.view)
            leases.keep()
    except Gone:
        return False
    return True
