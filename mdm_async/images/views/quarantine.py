"""Letting views out of quarantine, after somebody has looked at the pixels."""

from collections.abc import Sequence
from uuid import UUID

from mdm_async.catalog.holdings import profiles
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.work import views_to_make
from mdm_async.errors import BadRequest, MdmError, NotFound
from mdm_async.images.reading.served import Served
from mdm_async.images.reading.shelf import Shelf
from mdm_async.images.surls import resolve
from mdm_async.images.views.remaking import attempt
from mdm_async.images.views.workshop import Workshop
from mdm_async.names import Caller, Right
from mdm_async.postgres.database import Connection

_MADE_HERE = 30.0
"""Seconds."""


async def release(
    workshop: Workshop,
    shelf: Shelf,
    caller: Caller,
    name: str,
    surls: Sequence[str],
) -> list[tuple[str, MdmError | None]]:
    """Make a profile's views of files whose pixels the caller, who needs `i`, found to show nobody's name.

    Raises NotFound when there is no such profile.
    """
    results: list[tuple[str, MdmError | None]] = []
    images: list[UUID] = []
    async with workshop.depot.database.transaction() as db:
        await shelf.served.refresh(db)
        served = shelf.served.get(name)
        if served is None:
            raise NotFound("there is no profile of that name")
        for surl, found in zip(surls, await resolve(db, caller, surls), strict=True):
            try:
                if isinstance(found, MdmError):
                    raise found
                images.append(await _release(db, caller, served, found[1]))
            except MdmError as why:
                results.append((surl, why))
            else:
                results.append((surl, None))
        # Made here and now; what fails, or this node with it, another makes then.
        await views_to_make.add(db, [(image, served.view) for image in images], wait=_MADE_HERE)
    for image in images:
        await attempt(workshop, shelf, served, image)
    return results


async def _release(db: Connection, caller: Caller, served: Served, place: Place) -> UUID:
    acl.demand(caller, place, Right.IDENTITY)
    if place.entry is None or place.entry.image is None:
        raise acl.missing(caller)
    if not await profiles.release(db, place.entry.image, served.view, served.version, caller.name):
        raise BadRequest(f"the view '{served.view}' of this file is not in quarantine")
    act = Act(caller, "quarantine release", guid=place.entry.guid, view=served.view)
    await acts.record(db, [act])
    return place.entry.image
