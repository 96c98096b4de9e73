"""What the names in a query stand for."""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Final

from mdm_async.catalog.metadata import collections
from mdm_async.catalog.metadata.collections import DATE, FLOAT, INT, TEXT
from mdm_async.catalog.metadata.columns import DicomAttribute, JoinedAttribute, OwnAttribute
from mdm_async.catalog.namespace.places import Place
from mdm_async.catalog.rights import acl
from mdm_async.dicom.indexed import by_keyword
from mdm_async.errors import BadRequest
from mdm_async.images.metadata.rows import Desk, place_of
from mdm_async.names import Caller, Right
from mdm_async.postgres.database import Connection
from mdm_async.querying.attributes import NAME, Attribute, Kind
from mdm_async.querying.words import RESERVED

_KINDS: Final = {TEXT: Kind.TEXT, INT: Kind.NUMBER, FLOAT: Kind.NUMBER, DATE: Kind.DATE}


@cache
def dicom() -> Mapping[str, Attribute]:
    """Those that there are everywhere."""
    return {name: DicomAttribute.of(name, row) for name, row in by_keyword().items()}


def is_own(names: Collection[str]) -> bool:
    """Whether one of these may be an attribute that users have made."""
    return any("." in name for name in names)


async def listing(desk: Desk, caller: Caller, path: str) -> list[Attribute]:
    """All that a query may name at a path. Raises as `place_of`."""
    async with desk.database.acquire() as db:
        place = await place_of(db, caller, path)
        found = await attributes_at(db, caller, place, {"."})
    return sorted(found.values(), key=lambda one: ("." in one.name, one.name))


async def attributes_at(
    db: Connection, caller: Caller, place: Place, names: Collection[str]
) -> dict[str, Attribute]:
    """The attributes that there are at a place, by name; users' own, if one of these names may be such."""
    found: dict[str, Attribute] = dict(dicom())
    if is_own(names) and acl.allows(caller, place, Right.GET_METADATA):
        for collection in (await collections.at_place(db, place.way)).values():
            for one in collection.attributes.values():
                name = f"{collection.name}.{one.name}"
                found[name] = OwnAttribute(name, _KINDS[one.kind], one.id)
    return found


async def attributes_with_joins(
    db: Connection, caller: Caller, place: Place, joined: Mapping[str, Place], names: Collection[str]
) -> dict[str, Attribute]:
    """As `attributes_at`, with those of what is joined."""
    found = await attributes_at(db, caller, place, names)
    for alias, at in joined.items():
        inner = {name.removeprefix(f"{alias}.") for name in names if name.startswith(f"{alias}.")}
        of_alias = await attributes_at(db, caller, at, inner)
        found |= {
            f"{alias}.{name}": JoinedAttribute(f"{alias}.{name}", one.kind, alias, one)
            for name, one in of_alias.items()
        }
    return found


def demand_aliases(aliases: Collection[str]) -> None:
    """Raises BadRequest."""
    for alias in aliases:
        if NAME.fullmatch(alias) is None or alias.lower() in RESERVED:
            raise BadRequest(
                "an alias of a join is malformed",
                remedy="use letters, digits, '-' and '_', as c=/vo/clinical",
            )
