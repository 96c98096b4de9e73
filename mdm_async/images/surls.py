"""Callers' SURLs, thousands at once, as places in the namespace."""

from collections.abc import Sequence
from uuid import UUID

from mdm_async.catalog.namespace import places
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.errors import BadRequest, MdmError, NotFound, Refusal
from mdm_async.names import Caller, Lfn, Right, Surl, parse_surl
from mdm_async.postgres.database import Connection, Database
from mdm_async.postgres.together import Together


async def resolve(
    db: Connection, caller: Caller, surls: Sequence[str]
) -> list[tuple[Surl, Place] | BadRequest | NotFound]:
    """Where each SURL leads: one query for all paths, one for all GUIDs; what is malformed as its error.

    A GUID leads to the entry's place of today. One that no entry has, and one of an entry at which the caller has no
    right whatever, are both NotFound.
    """
    parsed = [_parse(text) for text in surls]
    named = _named(parsed)
    by_path = await places.resolve(db, named) if named else ()
    guids = _guids(parsed)
    by_guid = await places.of_guids(db, guids) if guids else {}
    return _found(caller, parsed, by_path, by_guid)


async def resolve_together(
    database: Database, together: Together[Lfn, Place], caller: Caller, surls: Sequence[str]
) -> list[tuple[Surl, Place] | BadRequest | NotFound]:
    """As `resolve`, the paths in one query with those of whoever else asks."""
    parsed = [_parse(text) for text in surls]
    named = _named(parsed)
    by_path = await together.ask(named) if named else ()
    by_guid: dict[UUID, Place] = {}
    if guids := _guids(parsed):
        async with database.acquire() as db:
            by_guid = await places.of_guids(db, guids)
    return _found(caller, parsed, by_path, by_guid)


def _named(parsed: Sequence[Surl | BadRequest]) -> list[Lfn]:
    return [surl.lfn for surl in parsed if isinstance(surl, Surl) and surl.guid is None]


def _guids(parsed: Sequence[Surl | BadRequest]) -> set[UUID]:
    return {surl.guid for surl in parsed if isinstance(surl, Surl) and surl.guid is not None}


def _found(
    caller: Caller, parsed: Sequence[Surl | BadRequest], paths: Sequence[Place], by_guid: dict[UUID, Place]
) -> list[tuple[Surl, Place] | BadRequest | NotFound]:
    by_path = iter(paths)
    found: list[tuple[Surl, Place] | BadRequest | NotFound] = []
    for surl in parsed:
        if isinstance(surl, BadRequest):
            found.append(surl)
        elif surl.guid is None:
            found.append((surl, next(by_path)))
        else:
            place = _with_guid(caller, surl.guid, by_guid)
            found.append((surl, place) if isinstance(place, Place) else place)
    return found


async def resolve_one(db: Connection, caller: Caller, surl: str) -> tuple[Surl, Place]:
    """As `resolve`; raises what is wrong with it."""
    (found,) = await resolve(db, caller, [surl])
    if isinstance(found, MdmError):
        raise found
    return found


async def existing(db: Connection, caller: Caller, surl: str, right: Right) -> tuple[Place, Entry]:
    """Where an entry is on which the caller has this right. Raises as `acl.demand`."""
    _, place = await resolve_one(db, caller, surl)
    acl.demand(caller, place, right)
    if place.entry is None:
        raise acl.missing(caller)
    return place, place.entry


def _with_guid(caller: Caller, guid: UUID, found: dict[UUID, Place]) -> Place | NotFound:
    place = found.get(guid)
    if place is not None and acl.is_known(caller, place):
        return place
    why = acl.missing(caller)
    if place is not None:
        why.refusal = Refusal(caller.name, Right.LIST, None, guid)
    return why


def _parse(text: str) -> Surl | BadRequest:
    try:
        return parse_surl(text)
    except BadRequest as why:
        return why
