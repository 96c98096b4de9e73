"""Directories that are about to be moved: what would get a name below one waits a moment, so that whoever looks at all
that lies there comes to an end."""

from mdm_async.postgres.database import Connection

SECONDS = 10.0
"""A move that is not heard of for so long is waited for no more: its node may be gone."""


async def announce(db: Connection, directory: int) -> None:
    """That it is moved soon, or is still going to be."""
    await db.execute("delete from moves where until < now()")
    await db.execute(
        "insert into moves (directory, until) values ($1, now() + make_interval(secs => $2))"
        " on conflict (directory) do update set until = excluded.until",
        directory,
        SECONDS,
    )


async def end(db: Connection, directory: int) -> None:
    await db.execute("delete from moves where directory = $1", directory)


async def announced(db: Connection, directory: int) -> int | None:
    """Which is: this directory, or the nearest one above it that is."""
    found: int | None = await db.fetchval(
        "with recursive up (id, parent, height) as ("
        "  select id, parent, 0 from entries where id = $1 and exists (select from moves)"
        "  union all"
        "  select e.id, e.parent, up.height + 1 from up cross join lateral ("
        "    select id, parent from entries where id = up.parent limit 1) e"
        ") select m.directory from up cross join lateral ("
        "  select directory from moves where directory = up.id and until > now() limit 1) m"
        " order by up.height limit 1",
        directory,
    )
    return found


async def is_going_on(db: Connection, directory: int) -> bool:
    """Whether this one, which was announced, still is."""
    found: bool = await db.fetchval(
        "select exists (select from moves where directory = $1 and until > now())", directory
    )
    return found
