"""Properties that clients keep with entries, sealed: the catalog can tell nothing of them."""

from collections.abc import Collection, Sequence
from uuid import UUID

from mdm_async.errors import Busy, NotFound
from mdm_async.postgres.database import Connection


async def of_entries(db: Connection, entries: Collection[int]) -> dict[int, bytes]:
    rows = await db.fetch(
        "select entry, sealed from dead_properties where entry = any($1::bigint[])", list(entries)
    )
    return {row["entry"]: row["sealed"] for row in rows}


async def locked(db: Connection, entry: int, image: UUID | None) -> bytes | None:
    """Those of an entry, which nobody else changes, removes, or points to another image than this until the transaction
    ends. Raises NotFound, Busy."""
    await db.execute("select pg_advisory_xact_lock(hashtextextended('mdm properties', $1))", entry)
    found = await db.fetchrow("select image from entries where id = $1 for share", entry)
    if found is None:
        raise NotFound("it has just been removed")
    if found["image"] != image:
        raise Busy("the file has just been overwritten", remedy="look at it, then try again")
    sealed: bytes | None = await db.fetchval("select sealed from dead_properties where entry = $1", entry)
    return sealed


async def put(db: Connection, entry: int, sealed: bytes | None) -> None:
    """None: it has none any more."""
    if sealed is None:
        await db.execute("delete from dead_properties where entry = $1", entry)
        return
    await db.execute(
        "insert into dead_properties (entry, sealed) values ($1, $2)"
        " on conflict (entry) do update set sealed = excluded.sealed",
        entry,
        sealed,
    )


async def copy(db: Connection, sources: Sequence[int], targets: Sequence[UUID]) -> None:
    """New entries, by their GUIDs, get what the entries have that they were copied from, each from the one beside."""
    await db.execute(
        "insert into dead_properties (entry, sealed)"
        " select e.id, p.sealed from unnest($1::bigint[], $2::uuid[]) as c (source, target)"
        " cross join lateral (select sealed from dead_properties where entry = c.source limit 1) p"
        " cross join lateral (select id from entries where guid = c.target limit 1) e",
        sources,
        targets,
    )
