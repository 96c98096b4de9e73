"""A view made of an image's stored original, when it has none that is in force.

What is made once is kept: when two nodes make it, one wins.
"""

from collections.abc import Sequence
from uuid import UUID

import structlog
from cryptography.exceptions import InvalidTag

from mdm_async.catalog.holdings import blobs, generations, images, made_views, profiles, stored_parts
from mdm_async.catalog.holdings.stored_parts import Part
from mdm_async.catalog.metadata import index
from mdm_async.dicom.scrub import SECURITY_FLOOR
from mdm_async.errors import Busy, Damaged, Gone, MdmError
from mdm_async.images.reading.served import Served
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.views.making import Made, Maker
from mdm_async.images.views.originals import source_of
from mdm_async.images.views.workshop import Workshop
from mdm_async.postgres.database import Connection

_log = structlog.get_logger()


async def attempt(workshop: Workshop, shelf: Shelf, served: Served, image: UUID) -> None:
    """As `make_view`, of a view that is among those to be made anyway: what fails is logged."""
    try:
        await make_view(workshop, shelf, served, image)
    except MdmError as why:
        _log.warning("a view could not be made", image=str(image), reason=why.detail)
    except Exception as why:  # a mistake of ours, on this image; its message could quote the file
        _log.error("a view could not be made", image=str(image), kind=type(why).__name__)


async def _demand_pixels(db: Connection, made: Made, parts: Sequence[Part]) -> None:
    """Raises Gone when pixels that another view shared have been dropped with that view meanwhile."""
    ours = {part.id for part in parts}
    if (
        made.pixels is not None
        and made.pixels not in ours
        and not await stored_parts.by_id(db, [made.pixels])
    ):
        raise Gone("the pixels to be shared have just been dropped")


async def make_view(
    workshop: Workshop, shelf: Shelf, served: Served, image: UUID, *, bulk: bool = False
) -> bool:
    """Make one view of an image from its original; False when another node did, the image has gone, or its keys were
    changed meanwhile."""
    database = workshop.depot.database
    async with database.acquire() as db:
        registered = await images.registrations(db, [image])
    try:
        async with workshop.depot.leases() as leases:
            source = await source_of(workshop, shelf, leases, image)
            async with database.acquire() as db:
                released = await profiles.is_released(db, image, served.view, SECURITY_FLOOR)
            maker = Maker(workshop, leases, served, released=released, bulk=bulk)
            made = await maker.make(source, maker.begin(source.head, source.issued_by))
            parts = list(made.parts)
            if source.pixels is not None:
                parts += await source.pixels.drop_unused({made.pixels} if made.pixels else set())
            indexed = [made.indexed] if made.indexed is not None else []
            async with database.acquire() as db:
                await index.announce(db, indexed)
            async with database.transaction() as db:
                await images.lock(db, image)
                await generations.demand(db, image, source.secrets.registration)
                await shelf.served.refresh(db, now=True)
                if not shelf.served.in_force(served):
                    raise Gone("the profile has been replaced")
                await _demand_pixels(db, made, parts)
                await blobs.settle(db, list(leases.blobs))
                if not await made_views.add(db, parts, made.view):
                    raise Gone("another node made the view first")
                await index.add(db, indexed)
                await made_views.drop_superseded(db, image, served.view, served.version, shelf.served.floor)
            leases.keep()
    except (Gone, Busy):
        return False
    except (Damaged, InvalidTag):
        async with database.acquire() as db:
            if await images.registrations(db, [image]) != registered:
                return False
        raise
    return True
