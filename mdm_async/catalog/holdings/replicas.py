"""Where other copies of entries' views lie, at most one of each entry's being its master."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from mdm_async.postgres.database import Connection


@dataclass(frozen=True, slots=True)
class Replica:
    """A copy elsewhere. Without a master among an entry's, the copy stored here is it."""

    entry: int
    view: str
    url: str
    master: bool
    added_by: str
    at: datetime


async def of_entries(db: Connection, entries: Collection[int]) -> dict[int, list[Replica]]:
    """The replicas of entries, by URL."""
    rows = await db.fetch(
        "select entry, view, url, master, added_by, at from replicas where entry = any($1::bigint[])"
        " order by entry, url",
        list(entries),
    )
    found: dict[int, list[Replica]] = {}
    for row in rows:
        found.setdefault(row["entry"], []).append(Replica(*row.values()))
    return found


async def get(db: Connection, entry: int, url: str) -> Replica | None:
    """One of them."""
    row = await db.fetchrow(
        "select entry, view, url, master, added_by, at from replicas where entry = $1 and url = $2",
        entry,
        url,
    )
    return Replica(*row.values()) if row is not None else None


async def add(db: Connection, entry: int, view: str, url: str, by: str) -> bool:
    """Of an entry that is locked. False when it has that URL already."""
    status = await db.execute(
        "insert into replicas (entry, view, url, added_by) values ($1, $2, $3, $4) on conflict do nothing",
        entry,
        view,
        url,
        by,
    )
    return status == "INSERT 0 1"


async def remove(db: Connection, entry: int, url: str) -> None:
    await db.execute("delete from replicas where entry = $1 and url = $2", entry, url)


async def lock(db: Connection, entries: Collection[int]) -> set[int]:
    """Let nobody else change the replicas of these until the transaction ends; those that are still there."""
    rows = await db.fetch(
        "select id from entries where id = any($1::bigint[]) order by id for no key update",
        list(set(entries)),
    )
    return {row["id"] for row in rows}


async def set_master(db: Connection, entry: int, url: str | None) -> None:
    """Make one of an entry's replicas its master; None: the copy stored here."""
    await db.execute("update replicas set master = false where entry = $1 and master", entry)
    await db.execute("update replicas set master = true where entry = $1 and url = $2", entry, url)
