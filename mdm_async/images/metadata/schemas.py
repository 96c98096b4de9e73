"""The verbs on collections: schemas of attributes of users' own, in force at a directory and below it.

Who may get the metadata of an entry is told which are in force there, as of all that is inherited. To make one, or add
to it, takes the right 's' on its directory; to take something away, with the values that entries have, 'd' as well.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from mdm_async.catalog.metadata import collections
from mdm_async.catalog.metadata.collections import Attribute, Collection, NewAttribute
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadRequest, NotADirectory, NotFound
from mdm_async.images.metadata.own_kinds import new_attribute, parse_name
from mdm_async.images.surls import existing
from mdm_async.names import Caller, Lfn, Right
from mdm_async.postgres.database import Connection, Database

MOST_COLLECTIONS: Final = 100
"""At a directory."""
MOST_ATTRIBUTES: Final = 200
"""Of a collection."""
MOST_SCHEMA_BYTES: Final = 256 << 10
"""Of all collections at a directory: whoever asks for what is there, or below, is told all of it."""
_ATTRIBUTE, _COLLECTION = 100, 200
"""Bytes besides names and choices."""


@dataclass(frozen=True, slots=True)
class Schema:
    """A collection that is in force, and the directory where it is."""

    at: Lfn
    collection: Collection


@dataclass(frozen=True, slots=True)
class Wanted:
    """An attribute as a user asks for it."""

    name: str
    kind: str
    choices: Sequence[str] | None = None


async def show(database: Database, caller: Caller, surl: str) -> list[Schema]:
    """Those in force at an entry, by name. It takes the right 'g'."""
    async with database.acquire() as db:
        place, _ = await existing(db, caller, surl, Right.GET_METADATA)
        found = await collections.at_place(db, place.way)
    return [Schema(_above(place, one.directory), one) for _, one in sorted(found.items())]


async def create(
    database: Database, caller: Caller, surl: str, name: str, attributes: Sequence[Wanted]
) -> None:
    """Raises Exists, BadRequest."""
    parse_name(name)
    new = _new(attributes)
    async with database.transaction() as db:
        entry, found = await _locked(db, caller, surl)
        if len(found) >= MOST_COLLECTIONS:
            raise BadRequest(
                f"a directory has at most {MOST_COLLECTIONS} collections", remedy="add to one that it has"
            )
        _demand_small([*found, Collection(0, entry.id, name, _as_kept(new), caller.name, datetime.min)])
        await collections.make(db, entry.id, name, new, caller.name)
        await acts.record(db, [Act(caller, "make collection", guid=entry.guid, details={"collection": name})])


async def change(
    database: Database, caller: Caller, surl: str, name: str, add: Sequence[Wanted], remove: Sequence[str]
) -> None:
    """Remove attributes with all their values, then add others: all of it or nothing. Raises NotFound, Exists."""
    new = _new(add)
    async with database.transaction() as db:
        entry, found = await _locked(db, caller, surl, taking_away=bool(remove))
        collection = _named(found, name)
        missing = [one for one in remove if one not in collection.attributes]
        if missing:
            raise NotFound(
                f"the collection has no attribute {missing[0]!r}",
                remedy="mdm meta schema show lists those that it has",
            )
        await collections.remove_attributes(db, [collection.attributes[one].id for one in remove])
        if len(collection.attributes) - len(set(remove)) + len(new) > MOST_ATTRIBUTES:
            raise _too_many()
        kept = {name_: one for name_, one in collection.attributes.items() if name_ not in remove}
        others = [one for one in found if one is not collection]
        _demand_small([*others, replace(collection, attributes={**kept, **_as_kept(new)})])
        await collections.add(db, collection.id, new)
        told = {"collection": name, "added": [one[0] for one in new], "removed": list(remove)}
        await acts.record(db, [Act(caller, "change collection", guid=entry.guid, details=told)])


async def drop(database: Database, caller: Caller, surl: str, name: str) -> None:
    """Remove a collection with all values. Raises NotFound."""
    async with database.transaction() as db:
        entry, found = await _locked(db, caller, surl, taking_away=True)
        await collections.remove(db, _named(found, name).id)
        await acts.record(
            db, [Act(caller, "remove collection", guid=entry.guid, details={"collection": name})]
        )


async def _locked(
    db: Connection, caller: Caller, surl: str, *, taking_away: bool = False
) -> tuple[Entry, list[Collection]]:
    """A directory and its own collections, which nobody else changes meanwhile."""
    place, entry = await existing(db, caller, surl, Right.SET_METADATA)
    if taking_away:
        acl.demand(caller, place, Right.DELETE)
    if not entry.is_directory:
        raise NotADirectory("collections are at directories")
    await collections.lock(db, entry.id)
    return entry, (await collections.of_directories(db, [entry.id])).get(entry.id, [])


def _named(found: Sequence[Collection], name: str) -> Collection:
    for one in found:
        if one.name == name:
            return one
    raise NotFound(
        "the directory has no collection of that name",
        remedy="mdm meta schema show lists those in force, and where they are",
    )


def _new(attributes: Sequence[Wanted]) -> list[NewAttribute]:
    if len(attributes) > MOST_ATTRIBUTES:
        raise _too_many()
    return [new_attribute(one.name, one.kind, one.choices) for one in attributes]


def _as_kept(new: Sequence[NewAttribute]) -> dict[str, Attribute]:
    return {
        name: Attribute(0, name, kind, None if choices is None else tuple(choices))
        for name, kind, choices in new
    }


def _demand_small(found: Sequence[Collection]) -> None:
    """Raises BadRequest."""
    attributes = [one for collection in found for one in collection.attributes.values()]
    size = sum(_COLLECTION + len(one.name) for one in found) + sum(
        _ATTRIBUTE + len(one.name) + sum(len(choice.encode()) for choice in one.choices or ())
        for one in attributes
    )
    if size > MOST_SCHEMA_BYTES:
        raise BadRequest(
            f"the collections of a directory take {MOST_SCHEMA_BYTES >> 10} KiB at the most, names and choices",
            remedy="remove some, shorten the choices, or make the collection at another directory",
        )


def _too_many() -> BadRequest:
    return BadRequest(
        f"a collection has at most {MOST_ATTRIBUTES} attributes", remedy="make another collection beside it"
    )


def _above(place: Place, directory: int) -> Lfn:
    """The name of a directory on the way to a place."""
    return Lfn("/" + "/".join(place.lfn.split("/")[1 : place.way.index(directory) + 1]))
