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


async def is_announced(db: Connection, directory: int) -> bool:
    """Of this directory, or of one above it."""
    announced: bool = await db.fetchval(
        "with recursive up (id, parent) as ("
        "  select id, parent from entries where id = $1 and exists (select from moves)"
        "  union all"
        "  select e.id, e.parent from up cross join lateral ("
        "    select id, parent from entries where id = up.parent limit 1) e"
        ") select exists (select from up cross join lateral ("
        "  select from moves where directory = up.id and until > now() limit 1) m)",
        directory,
    )
    return announced
