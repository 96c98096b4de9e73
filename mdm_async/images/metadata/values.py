"""Values of users' own attributes: those of entries are shown with the right 'g' and set with 's'.

They are users' text, and are treated as names are: those of a file hold nothing that tells who its patient is. Unlike
dead properties they are not sealed, for they are searched.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mdm_async.catalog.metadata import collections, own_values
from mdm_async.catalog.metadata.collections import Attribute, Collection
from mdm_async.catalog.metadata.own_values import Stored, Value
from mdm_async.catalog.namespace import locks
from mdm_async.catalog.namespace.entries import Entry
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import BadRequest, Busy, MdmError, NotFound
from mdm_async.images.metadata.own_kinds import (
    Given,
    Told,
    demand_few,
    may_reveal,
    parse_attribute,
    stored,
    told,
)
from mdm_async.images.names.revealing import Named, NameGuard
from mdm_async.images.surls import resolve
from mdm_async.names import Caller, Right, Surl, View
from mdm_async.postgres import sqlstates
from mdm_async.postgres.database import Connection, Database

Own = Mapping[str, Mapping[str, Told]]
"""An entry's values, by collection and attribute."""
Outcomes = list[tuple[str, MdmError | None]]


@dataclass(frozen=True, slots=True)
class _Settable:
    """An entry and what it is to have."""

    entry: Entry
    values: list[tuple[Attribute, Stored]]


async def own_of(db: Connection, places: Sequence[Place], most: int) -> dict[int, Own]:
    """By entry, of entries whose metadata the caller may get. Raises TooLarge when they take more than `most` bytes."""
    schemas = await collections.of_directories(db, {one for place in places for one in place.way})
    in_force = {entry_at(one).id: collections.in_force(schemas, one.way) for one in places}
    wanted = {
        attribute.id
        for found in in_force.values()
        for collection in found.values()
        for attribute in collection.attributes.values()
    }
    kept = await own_values.of_entries(db, list(in_force), wanted, most) if wanted else {}
    return {entry: _own(found, kept.get(entry, {})) for entry, found in in_force.items()}


async def set_values(
    database: Database, guard: NameGuard, caller: Caller, surls: Sequence[str], given: Mapping[str, Given]
) -> Outcomes:
    """Give each of these entries these values, by `collection.attribute`; None takes one away. An entry gets all of
    them or none, and one that fails fails no other; but when one text tells who a patient is, nobody gets any.

    Raises BadRequest, Forbidden, TooLarge."""
    demand_few(len(surls), given)
    named = {parse_attribute(name): value for name, value in given.items()}
    async with database.acquire() as db:
        looked_at = await _settable(db, caller, surls, named)
    revealing = await _revealing(guard, caller, looked_at)
    async with database.transaction() as db:
        found = await _settable(db, caller, surls, named)
        for at, (before, now) in enumerate(zip(looked_at, found, strict=True)):
            if not isinstance(now, MdmError) and _same(before) != _same(now):
                found[at] = Busy("it has just been changed", remedy="look at it, then try again")
        found = [revealing.get(at, one) for at, one in enumerate(found)]
        wanted = {one.entry.id: one for one in found if isinstance(one, _Settable)}
        await keep(db, {attribute.id for one in wanted.values() for attribute, _ in one.values})
        locked = await locks.locked(db, wanted)
        there = await own_values.lock(
            db, [(id_, one.entry.image) for id_, one in wanted.items() if id_ not in locked]
        )
        done = [wanted[id_] for id_ in sorted(there)]
        await own_values.put(
            db, [Value(one.entry.id, attribute.id, kept) for one in done for attribute, kept in one.values]
        )
        details = {"attributes": sorted(given)}
        await acts.record(
            db, [Act(caller, "set metadata", guid=one.entry.guid, details=details) for one in done]
        )
    return [(surl, _outcome(caller, one, locked, there)) for surl, one in zip(surls, found, strict=True)]


async def keep(db: Connection, attributes: set[int]) -> None:
    """Return when none of these is gone; they stay until the transaction ends. Raises Busy."""
    if not await collections.keep(db, attributes):
        raise Busy("the collection has just been changed", remedy="try again")


def attribute_named(in_force: Mapping[str, Collection], collection: str, name: str) -> Attribute:
    """Raises NotFound."""
    found = in_force.get(collection)
    attribute = found.attributes.get(name) if found is not None else None
    if attribute is None:
        raise NotFound(
            f"no collection in force here has an attribute {collection}.{name}",
            remedy="mdm meta schema show lists those that there are",
        )
    return attribute


async def _settable(
    db: Connection, caller: Caller, surls: Sequence[str], named: Mapping[tuple[str, str], Given]
) -> list[_Settable | MdmError]:
    places = [demanded(caller, one, Right.SET_METADATA) for one in await resolve(db, caller, surls)]
    ways = {step for one in places if isinstance(one, Place) for step in one.way}
    schemas = await collections.of_directories(db, ways)
    found: list[_Settable | MdmError] = []
    for place in places:
        if isinstance(place, MdmError):
            found.append(place)
            continue
        in_force = collections.in_force(schemas, place.way)
        try:
            values = [_value(in_force, *name, value) for name, value in named.items()]
            found.append(_Settable(entry_at(place), values))
        except (BadRequest, NotFound) as why:
            found.append(why)
    return found


def _value(
    in_force: Mapping[str, Collection], collection: str, name: str, given: Given
) -> tuple[Attribute, Stored]:
    attribute = attribute_named(in_force, collection, name)
    return attribute, stored(attribute, given)


async def _revealing(
    guard: NameGuard, caller: Caller, found: Sequence[_Settable | MdmError]
) -> dict[int, MdmError]:
    """Why of some of these, by their place in the list, nobody can tell whether the values name the patient.

    Raises as `NameGuard.demand_texts_silent`: for all of them, lest one request tries many names on many files."""
    texts = {
        at: [text for attribute, kept in one.values if (text := may_reveal(attribute, kept)) is not None]
        for at, one in enumerate(found)
        if isinstance(one, _Settable) and one.entry.image is not None
    }
    told = {
        at: Named(one.entry.image, one.entry.guid, tuple(some))
        for at, some in texts.items()
        if some and isinstance(one := found[at], _Settable) and one.entry.image is not None
    }
    unknown = await guard.demand_texts_silent(caller, list(told.values()))
    return {at: why for at, why in zip(told, unknown, strict=True) if why is not None}


def _same(found: _Settable | MdmError) -> object:
    return (found.entry.id, found.entry.image, found.values) if isinstance(found, _Settable) else None


def demanded(
    caller: Caller, found: tuple[Surl, Place] | MdmError, right: Right, view: View | None = None
) -> Place | MdmError:
    """Where an entry is on which the caller has this right, or why not."""
    if isinstance(found, MdmError):
        return found
    _, place = found
    try:
        acl.demand(caller, place, right, view)
    except MdmError as why:
        return why
    return place if place.entry is not None else acl.missing(caller)


def entry_at(place: Place) -> Entry:
    assert place.entry is not None
    return place.entry


def _own(in_force: Mapping[str, Collection], kept: Mapping[int, Stored]) -> Own:
    found: dict[str, dict[str, Told]] = {}
    for collection in in_force.values():
        for attribute in collection.attributes.values():
            value = told(attribute, kept.get(attribute.id, (None, None)))
            if value is not None:
                found.setdefault(collection.name, {})[attribute.name] = value
    return found


def _outcome(
    caller: Caller, found: _Settable | MdmError, locked: frozenset[int], there: set[int]
) -> MdmError | None:
    if isinstance(found, MdmError):
        return found
    if found.entry.id in locked:
        return sqlstates.locked()
    return None if found.entry.id in there else acl.missing(caller)
