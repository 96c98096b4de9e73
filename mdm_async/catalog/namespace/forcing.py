"""Directories that take files which break PS3.10, as if each were stored with force; said once, in force below too."""

from typing import NamedTuple

from mdm_async.postgres.database import Connection


class Said(NamedTuple):
    """What is in force at a directory, and the entry that says so."""

    force: bool
    entry: int


async def force_at(db: Connection, directory: int) -> Said | None:
    """What the nearest directory that says anything says; None when none does."""
    row = await db.fetchrow(
        "with recursive up as ("
        "  select id, parent, force, 0 as height from entries where id = $1"
        "  union all select e.id, e.parent, e.force, height + 1 from up cross join lateral ("
        "    select id, parent, force from entries where id = up.parent and up.force is null offset 0) e"
        ") select force, id from up where force is not null order by height limit 1",
        directory,
    )
    return Said(row["force"], row["id"]) if row is not None else None


async def set_force(db: Connection, directory: int, force: bool | None) -> None:
    """What a directory says from now on; None: nothing."""
    await db.execute("update entries set force = $2 where id = $1", directory, force)
