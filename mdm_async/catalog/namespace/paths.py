"""From images back to their names."""

from collections.abc import Collection
from uuid import UUID

from mdm_async.names import Lfn
from mdm_async.postgres.database import Connection

_MOST_BELOW = 1000
"""Entries of a page of images, of which each has one or a few."""


async def of_images(db: Connection, images: Collection[UUID]) -> list[Lfn]:
    """Every LFN that points to one of these images."""
    rows = await db.fetch(
        "with recursive up as ("
        "  select parent, '/' || name as lfn, name from entries where image = any($1::uuid[])"
        "  union all select e.parent, case when e.parent is null then up.lfn else '/' || e.name || up.lfn end, e.name"
        "    from up cross join lateral (select parent, name from entries where id = up.parent offset 0) e"
        # Below what was removed, which goes by and by, there are no names any more.
        ") select lfn from up where parent is null and name = ''",
        list(images),
    )
    return [Lfn(row["lfn"]) for row in rows]


async def entries_of_images(db: Connection, images: Collection[UUID]) -> list[tuple[int, UUID, UUID]]:
    """(entry, its GUID, image) of every entry of these images, also of those that no name leads to any more."""
    rows = await db.fetch("select id, guid, image from entries where image = any($1::uuid[])", list(images))
    return [(row["id"], row["guid"], row["image"]) for row in rows]


async def own_entries(db: Connection, images: Collection[UUID], most: int) -> list[int]:
    """Entries of these images, no more than so many, that are not a research project's own."""
    rows = await db.fetch(
        "select id from entries where image = any($1::uuid[]) and only_view is null order by image, id limit $2",
        list(images),
        most,
    )
    return [row["id"] for row in rows]


async def own_entries_below(db: Connection, images: Collection[UUID], directory: int) -> dict[int, UUID]:
    """As `own_entries`, of those that lie below a directory, whatever lies elsewhere: each with its image. The oldest
    of many come."""
    rows = await db.fetch(
        "with recursive own as materialized ("
        "  select id, image, parent from entries where image = any($1::uuid[]) and only_view is null"
        "), up (origin, id) as ("
        "  select distinct parent, parent from own"
        "  union all select up.origin, e.parent from up cross join lateral ("
        "    select parent from entries where id = up.id offset 0) e where up.id <> $2 and e.parent is not null"
        ") select id, image from own where parent in (select origin from up where id = $2) order by id limit $3",
        list(images),
        directory,
        _MOST_BELOW,
    )
    return {row["id"]: row["image"] for row in rows}


async def lock_entries_of_images(db: Connection, images: Collection[UUID]) -> None:
    """Let nobody else change or remove them until the transaction ends."""
    await db.execute("select from entries where image = any($1::uuid[]) order by id for update", list(images))
