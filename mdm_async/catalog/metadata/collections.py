"""Collections: schemas of attributes of users' own, each at a directory, in force there and below.

Of two of one name the nearer one is in force.
"""

from collections.abc import Collection as Some
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from mdm_async.errors import Exists, NotFound
from mdm_async.postgres.database import Connection

TEXT, INT, FLOAT, DATE = KINDS = ("text", "int", "float", "date")
NUMBERS = (INT, FLOAT)
"""Kinds whose values are in the column `number`; those of others are in `text`."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """`choices`: the only values that a text may have."""

    id: int
    name: str
    kind: str
    choices: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Collection:
    id: int
    directory: int
    name: str
    attributes: Mapping[str, Attribute]
    made_by: str
    made: datetime


NewAttribute = tuple[str, str, Sequence[str] | None]
"""Name, kind, choices."""


async def of_directories(db: Connection, directories: Some[int]) -> dict[int, list[Collection]]:
    """Those at each of these, by name; directories that have none are missing."""
    rows = await db.fetch(
        "select c.*, a.attributes from unnest($1::bigint[]) as w (directory)"
        " cross join lateral (select * from collections where directory = w.directory offset 0) c"
        " cross join lateral (select coalesce(jsonb_agg("
        "   jsonb_build_array(id, name, kind, choices) order by name), '[]') as attributes"
        "  from collection_attributes where collection = c.id) a order by c.name",
        list(set(directories)),
    )
    found: dict[int, list[Collection]] = {}
    for row in rows:
        found.setdefault(row["directory"], []).append(_collection(row))
    return found


def in_force(found: Mapping[int, Iterable[Collection]], way: Sequence[int]) -> dict[str, Collection]:
    """Of what `of_directories` found, the nearest of each name at the end of a way, as places have it."""
    return {one.name: one for directory in way for one in found.get(directory, ())}


async def at_place(db: Connection, way: Sequence[int]) -> dict[str, Collection]:
    """The collections in force at a place, by name."""
    return in_force(await of_directories(db, way), way)


async def make(
    db: Connection, directory: int, name: str, attributes: Sequence[NewAttribute], made_by: str
) -> None:
    """Raises Exists, NotFound when the directory has just been removed."""
    try:
        collection = await db.fetchval(
            "insert into collections (directory, name, made_by) values ($1, $2, $3) returning id",
            directory,
            name,
            made_by,
        )
    except asyncpg.UniqueViolationError:
        raise Exists(
            "the directory has a collection of that name", remedy="mdm meta schema show lists its attributes"
        ) from None
    except asyncpg.ForeignKeyViolationError:
        raise NotFound("the directory has just been removed") from None
    await add(db, collection, attributes)


async def lock(db: Connection, directory: int) -> None:
    """Nobody else makes collections at a directory, or changes its own, until the transaction ends."""
    await db.execute("select pg_advisory_xact_lock(hashtextextended('mdm collections', $1))", directory)


async def add(db: Connection, collection: int, attributes: Sequence[NewAttribute]) -> None:
    """Raises Exists."""
    try:
        await db.executemany(
            "insert into collection_attributes (collection, name, kind, choices) values ($1, $2, $3, $4)",
            [(collection, name, kind, choices) for name, kind, choices in attributes],
        )
    except asyncpg.UniqueViolationError:
        raise Exists(
            "the collection has an attribute of that name",
            remedy="choose another, or remove that one first, with its values",
        ) from None


async def remove_attributes(db: Connection, attributes: Some[int]) -> None:
    """Their values are no longer seen, and go by and by."""
    await db.execute("delete from collection_attributes where id = any($1::bigint[])", list(attributes))


async def remove(db: Connection, collection: int) -> None:
    """With all attributes; their values are no longer seen, and go by and by."""
    await db.execute("delete from collections where id = $1", collection)


async def keep(db: Connection, attributes: Some[int]) -> bool:
    """Whether all of these are there, and stay until the transaction ends."""
    wanted = set(attributes)
    rows = await db.fetch(
        "select id from collection_attributes where id = any($1::bigint[]) order by id for key share",
        sorted(wanted),
    )
    return len(rows) == len(wanted)


async def are_there(db: Connection, attributes: Some[int]) -> bool:
    """Whether none of these is gone: one that a query was made with may have been removed since."""
    wanted = set(attributes)
    count = await db.fetchval(
        "select count(*) from collection_attributes where id = any($1::bigint[])", list(wanted)
    )
    return bool(count == len(wanted))


def _collection(row: asyncpg.Record) -> Collection:
    attributes = {
        name: Attribute(id_, name, kind, None if choices is None else tuple(choices))
        for id_, name, kind, choices in row["attributes"]
    }
    return Collection(row["id"], row["directory"], row["name"], attributes, row["made_by"], row["made"])
