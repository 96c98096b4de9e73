"""Where the bytes of files are, thousands at once, and nothing else about them."""

from collections.abc import Sequence
from uuid import UUID

from mdm_async.catalog.holdings import locality
from mdm_async.catalog.holdings.locality import Locality
from mdm_async.catalog.rights import acl
from mdm_async.errors import BadRequest, MdmError
from mdm_async.images.surls import resolve
from mdm_async.names import Caller, Right
from mdm_async.postgres.database import Connection, Database


async def localities(
    database: Database, caller: Caller, surls: Sequence[str]
) -> list[tuple[str, Locality | MdmError]]:
    """Those of files that the caller may list, or get the metadata of, or poll alone. One that fails fails no other."""
    async with database.acquire() as db:
        found = await _images(db, caller, surls)
        known = await locality.of_images(db, {one for one in found if isinstance(one, UUID)})
    return [
        (surl, one if isinstance(one, MdmError) else known.get(one, acl.missing(caller)))
        for surl, one in zip(surls, found, strict=True)
    ]


async def _images(db: Connection, caller: Caller, surls: Sequence[str]) -> list[UUID | MdmError]:
    images: list[UUID | MdmError] = []
    for one in await resolve(db, caller, surls):
        try:
            if isinstance(one, MdmError):
                raise one
            surl, place = one
            if surl.guid is not None:
                # Its GUID tells where an entry is only to whom a listing would.
                acl.demand(caller, place, Right.LIST)
            elif not acl.may_poll(caller, place):
                acl.demand_seen(caller, place)
            if place.entry is None:
                raise acl.missing(caller)
            if place.entry.image is None:
                raise BadRequest("this is a directory", remedy="name the files that are in it")
            images.append(place.entry.image)
        except MdmError as why:
            images.append(why)
    return images
