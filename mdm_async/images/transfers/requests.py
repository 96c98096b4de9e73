"""What a caller may still do with his requests: ask for their status, release, abort, extend them."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from mdm_async.catalog.grants import requests
from mdm_async.catalog.grants.grants import Grant
from mdm_async.catalog.holdings import images
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import MdmError, NotFound, Unauthenticated, UnknownRequest
from mdm_async.images.archive import Archive
from mdm_async.images.surls import resolve
from mdm_async.images.transfers.granting import lifetime
from mdm_async.names import Caller, Right, Surl


async def status(archive: Archive, caller: Caller, request: UUID, operation: str) -> list[Grant]:
    """A request's items. Raises UnknownRequest when the caller has no such request of that operation."""
    async with archive.database.acquire() as db:
        items = await requests.of_request(db, request, caller)
    items = [item for item in items if item.operation == operation]
    if not items:
        raise UnknownRequest()
    return items


async def summary(archive: Archive, caller: Caller, request: UUID) -> list[Grant]:
    """A request's items, whatever it asked for. Raises UnknownRequest."""
    async with archive.database.acquire() as db:
        items = await requests.of_request(db, request, caller)
    if not items:
        raise UnknownRequest()
    return items


async def listing(archive: Archive, caller: Caller, description: str | None) -> list[tuple[UUID, datetime]]:
    """The caller's requests, newest first. Anonymous callers share their name, so nobody is told of theirs."""
    if caller.is_anonymous:
        return []
    async with archive.database.acquire() as db:
        return await requests.requests_of(db, caller, description)


async def release(
    archive: Archive, caller: Caller, request: UUID, surls: Sequence[str] | None
) -> list[Grant]:
    """End pins of a request; its transfer URLs die, running transfers stop. Repeating it is no error."""
    async with archive.database.acquire() as db:
        found = await requests.release(db, caller, request, surls)
    if not found:
        raise UnknownRequest()
    ended = [item.turl for item, now in found if now]
    archive.changed.turls(ended)
    return [item for item, _ in found if surls is None or item.surl in surls]


async def release_surls(
    archive: Archive, caller: Caller, surls: Sequence[str]
) -> list[tuple[str, MdmError | None]]:
    """End all pins that the caller holds on these files, whatever request made them.

    Who once pinned a file may always release it; to others it is there if they may list it. Anonymous callers share
    their name and would end each other's. Raises Unauthenticated.
    """
    if caller.is_anonymous:
        raise Unauthenticated(
            "anonymous callers release by request token only", remedy="send the requestToken of prepareToGet"
        )
    async with archive.database.transaction() as db:
        found = await resolve(db, caller, surls)
        there = [one[1].entry.id for one in found if not isinstance(one, MdmError) and one[1].entry]
        pinned = await requests.release_entries(db, caller, there)
    archive.changed.everything()
    return list({text: _missing(caller, one, pinned) for text, one in zip(surls, found, strict=True)}.items())


def _missing(caller: Caller, found: tuple[Surl, Place] | MdmError, pinned: set[int]) -> MdmError | None:
    if isinstance(found, MdmError):
        return found
    place = found[1]
    if place.entry is not None and (place.entry.id in pinned or acl.allows(caller, place, Right.LIST)):
        return None
    return NotFound()


async def abort(archive: Archive, caller: Caller, request: UUID, surls: Sequence[str] | None) -> list[Grant]:
    """End what a request still holds; what its uploads brought is destroyed. Finished uploads stay."""
    async with archive.database.transaction() as db:
        known = await requests.of_request(db, request, caller)
        if not known:
            raise UnknownRequest()
        aborted = await requests.abort(db, caller, request, surls)
        await images.doom_unreferenced(
            db, [item.image for item in aborted if item.operation == "put" and item.image is not None]
        )
        await acts.record(db, [Act(caller, "abort", guid=item.guid, view=item.view) for item in aborted])
    archive.changed.turls(item.turl for item in aborted)
    return [item for item in known if surls is None or item.surl in surls]


async def extend(
    archive: Archive, caller: Caller, request: UUID, surls: Sequence[str] | None, seconds: int | None
) -> list[Grant]:
    """Give live items a new life from now, within `transfers.max_pin`."""
    async with archive.database.transaction() as db:
        if not await requests.of_request(db, request, caller):
            raise UnknownRequest()
        extended = await requests.extend(
            db, caller, request, surls, lifetime(archive.settings.transfers, caller, seconds)
        )
        await acts.record(db, [Act(caller, "extend", guid=item.guid, view=item.view) for item in extended])
    archive.changed.turls(item.turl for item in extended)
    return extended
