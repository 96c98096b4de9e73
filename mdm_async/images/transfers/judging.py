"""Whether transfer URLs still have the rights that they were given by: asked again when rights have changed."""

import asyncio
from collections.abc import Collection, Mapping

from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.images.archive import Archive
from mdm_async.images.rights.delivery import demands_sealed
from mdm_async.names import Caller, Right, View

_AT_ONCE = 256
"""Judged between two turns of the event loop."""
_TO_OVERWRITE = (Right.WRITE, Right.DELETE)


async def still_allowed(archive: Archive, held: Collection[Grant]) -> set[bytes]:
    """The transfer URLs among these whose caller, as authenticated then, may now what they are for."""
    known = await archive.callers.get({grant.who for grant in held if grant.who is not None})
    callers = {who: archive.mapping.apply(caller) for who, caller in known.items()}
    async with archive.database.acquire() as db:
        wanted = {place for grant in held for place in (grant.entry, grant.parent) if place is not None}
        found = await places.of_entries(db, wanted)
    allowed = set()
    for count, grant in enumerate(held, 1):
        if _may(archive, grant, callers, found):
            allowed.add(grant.turl)
        if count % _AT_ONCE == 0:
            await asyncio.sleep(0)
    return allowed


def _may(archive: Archive, grant: Grant, callers: Mapping[int, Caller], found: Mapping[int, Place]) -> bool:
    caller = callers.get(grant.who or 0)
    entry, directory = found.get(grant.entry or 0), found.get(grant.parent or 0)
    if caller is None:
        return False
    if grant.operation == "put":
        if entry is not None and not all(acl.allows(caller, entry, right) for right in _TO_OVERWRITE):
            return False
        return directory is not None and acl.may_create(caller, directory.child(grant.name or "", None))
    view = View(grant.view or "")
    if entry is None or (grant.recipient is None and demands_sealed(archive.settings.delivery, entry, view)):
        return False
    return acl.allows(caller, entry, Right.READ, view)
