"""From entries back to their names: the LFNs below a directory, and those that an image has."""

from collections.abc import Collection
from uuid import UUID

from mdm_async.names import Lfn
from mdm_async.postgres.database import Connection


async def files_below(db: Connection, lfn: Lfn, directory: int, count: int) -> list[Lfn]:
    """LFNs of the files below the directory of this LFN, `count` of them at the most."""
    rows = await db.fetch(
        "with recursive below as ("
        '  select id, $2::text collate "C" as lfn, is_directory from entries where id = $1'
        "  union all select e.id, b.lfn || '/' || e.name, e.is_directory from below b cross join lateral ("
        "    select id, name, is_directory from entries where parent = b.id and b.is_directory offset 0) e"
        ") select lfn from below where not is_directory limit $3",
        directory,
        lfn.rstrip("/"),
        count,
    )
    return [Lfn(row["lfn"]) for row in rows]


async def of_images(db: Connection, images: Collection[UUID]) -> list[Lfn]:
    """Every LFN that points to one of these images."""
    rows = await db.fetch(
        "with recursive up as ("
        "  select parent, '/' || name as lfn from entries where image = any($1::uuid[])"
        "  union all select e.parent, case when e.parent is null then up.lfn else '/' || e.name || up.lfn end"
        "    from up cross join lateral (select parent, name from entries where id = up.parent offset 0) e"
        ") select lfn from up where parent is null",
        list(images),
    )
    return [Lfn(row["lfn"]) for row in rows]
