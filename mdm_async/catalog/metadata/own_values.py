"""Values of users' own attributes, which entries carry."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from uuid import UUID

from mdm_async.errors import Busy, TooLarge
from mdm_async.postgres.database import Connection

Stored = tuple[str | None, float | None]
"""Text or number: the other is None. Both None: no value."""

_OVERHEAD = 64
"""Bytes that a value takes besides its text."""


@dataclass(frozen=True, slots=True)
class Value:
    entry: int
    attribute: int
    stored: Stored


async def of_entries(
    db: Connection, entries: Collection[int], attributes: Collection[int], most: int
) -> dict[int, dict[int, Stored]]:
    """Of these attributes, by entry and attribute. Raises TooLarge when they take more than `most` bytes."""
    rows = await db.fetch(
        "select * from (select v.entry, v.attribute, v.text, v.number,"
        f" sum({_OVERHEAD} + coalesce(octet_length(v.text), 0)) over (rows unbounded preceding) as size"
        "  from unnest($1::bigint[]) as w (entry) cross join lateral ("
        "   select * from own_values where entry = w.entry and attribute = any($2::bigint[]) offset 0) v"
        f") v where size - {_OVERHEAD} - coalesce(octet_length(text), 0) <= $3",
        list(entries),
        list(attributes),
        most,
    )
    if rows and rows[-1]["size"] > most:
        raise TooLarge("these entries carry too many values for one answer", remedy="name fewer of them")
    found: dict[int, dict[int, Stored]] = {}
    for row in rows:
        found.setdefault(row["entry"], {})[row["attribute"]] = (row["text"], row["number"])
    return found


async def lock(db: Connection, entries: Sequence[tuple[int, UUID | None]]) -> set[int]:
    """Those of these entries that are there: until the transaction ends nobody else changes their values, removes them
    or points them to another image than this. Raises Busy when one already points to another."""
    images = dict(entries)
    rows = await db.fetch(
        "select e.id, e.image from unnest($1::bigint[]) as w (id) cross join lateral ("
        "  select id, image from entries where id = w.id limit 1 for no key update) e",
        sorted(images),
    )
    if any(row["image"] != images[row["id"]] for row in rows):
        raise Busy("a file has just been overwritten", remedy="look at it, then try again")
    return {row["id"] for row in rows}


async def put(db: Connection, values: Sequence[Value]) -> None:
    """Of locked entries. A value of None takes away the one that there is."""
    gone = [one for one in values if one.stored == (None, None)]
    if gone:
        await db.execute(
            "delete from own_values v using unnest($1::bigint[], $2::bigint[]) as w (entry, attribute)"
            " where v.entry = w.entry and v.attribute = w.attribute",
            [one.entry for one in gone],
            [one.attribute for one in gone],
        )
    new = [one for one in values if one.stored != (None, None)]
    if new:
        await db.execute(
            "insert into own_values (entry, attribute, text, number)"
            " select * from unnest($1::bigint[], $2::bigint[], $3::text[], $4::float8[])"
            " on conflict (entry, attribute) do update set text = excluded.text, number = excluded.number",
            [one.entry for one in new],
            [one.attribute for one in new],
            [one.stored[0] for one in new],
            [one.stored[1] for one in new],
        )


async def copy(db: Connection, sources: Sequence[int], targets: Sequence[UUID]) -> None:
    """New entries, by their GUIDs, get what the entries have that they were copied from, each from the one beside."""
    await db.execute(
        "insert into own_values (entry, attribute, text, number)"
        " select e.id, v.attribute, v.text, v.number from unnest($1::bigint[], $2::uuid[]) as c (source, target)"
        " cross join lateral (select * from own_values where entry = c.source offset 0) v"
        " cross join lateral (select id from entries where guid = c.target limit 1) e",
        sources,
        targets,
    )


async def with_value(db: Connection, attribute: int, stored: Stored, count: int, after: int) -> list[int]:
    """Some entries that have this value, by id, after one."""
    column, value = ("text", stored[0]) if stored[0] is not None else ("number", stored[1])
    rows = await db.fetch(
        f"select entry from own_values where attribute = $1 and {column} = $2 and entry > $3"
        " order by entry limit $4",
        attribute,
        value,
        after,
        count,
    )
    return [row["entry"] for row in rows]


async def lock_free(db: Connection, entries: Sequence[tuple[int, UUID | None]], count: int) -> list[int]:
    """Lock the first of these entries that still point to these images and that nobody else holds, until the
    transaction ends; in the order given."""
    rows = await db.fetch(
        "select e.id from unnest($1::bigint[], $2::uuid[]) with ordinality as w (id, image, turn)"
        " cross join lateral (select id from entries where id = w.id and image is not distinct from w.image"
        "  for no key update skip locked) e limit $3",
        [entry for entry, _ in entries],
        [image for _, image in entries],
        count,
    )
    return [row["id"] for row in rows]
