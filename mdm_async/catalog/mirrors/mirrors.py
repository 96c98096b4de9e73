"""Mirrors of directories of this installation: who is sent what is in them, and how that stands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from mdm_async.catalog.mirrors import changes, read_only
from mdm_async.catalog.work.queue import Queue
from mdm_async.errors import Exists
from mdm_async.postgres.database import Connection

MIRRORS = Queue("mirrors", "mirrors", ("name",), ("text",), only="state = 'following'", since="added")


@dataclass(frozen=True, slots=True)
class Mirror:
    """One of them. `credential` is sealed. `said`: how often the other has heard something of entries."""

    name: str
    directory: int
    url: str
    credential: bytes
    state: str
    epoch: int
    added: datetime
    added_by: str
    heard: datetime | None
    failure: str | None
    told: int
    said: int


_COLUMNS = "name, directory, url, credential, state, epoch, added, added_by, heard, failure, told, said"


async def add(
    db: Connection, name: str, directory: int, guid: UUID, url: str, credential: bytes, epoch: int, by: str
) -> None:
    """From the commit on changes are noted; all that is there already is to be sent. Raises Exists."""
    # Whoever began to change an entry before, unnoted, ends before what is there is looked at.
    await db.execute("lock table entries in share mode")
    try:
        await db.execute(
            "insert into mirrors (name, directory, url, credential, epoch, added_by, told)"
            " values ($1, $2, $3, $4, $5, $6, coalesce((select max(id) from audit), 0))",
            *(name, directory, url, credential, epoch, by),
        )
    except asyncpg.UniqueViolationError:
        raise Exists(
            "there is a mirror of that name, or of that directory", remedy="mdm mirror status"
        ) from None
    await changes.note(db, name, "entry", [guid], since=await db.fetchval("select now()"))


async def get(db: Connection, name: str) -> Mirror | None:
    row = await db.fetchrow(f"select {_COLUMNS} from mirrors where name = $1", name)
    return Mirror(*row.values()) if row is not None else None


async def is_followed(db: Connection, name: str) -> bool:
    """Whether it is to be sent anything."""
    return bool(
        await db.fetchval("select exists (select from mirrors where name = $1 and state = 'following')", name)
    )


async def listing(db: Connection) -> list[Mirror]:
    rows = await db.fetch(f"select {_COLUMNS} from mirrors order by name")
    return [Mirror(*row.values()) for row in rows]


async def stop(db: Connection, mirror: Mirror) -> None:
    """Nothing is noted or sent any more; what is kept of it goes by `forget_page`."""
    await db.execute("update mirrors set state = 'stopped' where name = $1", mirror.name)
    await read_only.open_again(db, mirror.directory)


async def forget_page(db: Connection, name: str, count: int) -> bool:
    """Some of what is kept of a mirror that is stopped, at last itself; whether there may be more."""
    for table in ("mirror_changes", "mirrored_entries", "mirrored_images", "mirrored_profiles"):
        status = await db.execute(
            f"delete from {table} where ctid = any(array(select ctid from {table} where mirror = $1 limit $2))",
            name,
            count,
        )
        if status != "DELETE 0":
            return True
    await db.execute("delete from mirrors where name = $1 and state = 'stopped'", name)
    return False


async def heard(db: Connection, mirror: Mirror, node: str, said: int) -> None:
    """The other has answered, and follows still: what waited for that may be changed again."""
    await db.execute(
        "with heard as (update mirrors set heard = now(), heard_by = $2, said = greatest(said, $3)"
        "  where name = $1 and state = 'following' returning directory)"
        " delete from read_only where why = 'unheard' and directory in (select directory from heard)",
        *(mirror.name, node, said),
    )


async def failed(db: Connection, mirror: Mirror, reason: str | None) -> None:
    """Why nothing goes on; None: it does."""
    await db.execute("update mirrors set failure = $2 where name = $1", mirror.name, reason)


async def fence(db: Connection, mirror: Mirror) -> bool:
    """The other was promoted: nothing is sent, and nothing changed here. False when that was known."""
    fenced = await db.fetchval(
        "update mirrors set state = 'fenced' where name = $1 and state = 'following' returning true",
        mirror.name,
    )
    if fenced:
        await read_only.bar(db, mirror.directory, mirror.name, "fenced")
    return bool(fenced)


async def distrust(db: Connection, node: str, seconds: float) -> None:
    """When a node starts: nothing is changed in a mirrored directory until the mirror is heard, for it may have been
    promoted meanwhile. Not where another node has heard it in so many seconds."""
    await MIRRORS.give_back(db, node)
    await db.execute(
        "insert into read_only (directory, mirror, why) select directory, name, 'unheard' from mirrors"
        " where state = 'following' and (heard is null or heard_by = $1 or heard < now() - make_interval(secs => $2))"
        " on conflict do nothing",
        node,
        seconds,
    )


async def acts_to_tell(db: Connection, mirror: Mirror, count: int) -> tuple[list[dict[str, Any]], int]:
    """Rows of the audit about what the mirror has, of the next so many; and up to which row that is. What may still be
    committed late is waited for."""
    rows = await db.fetch(
        "with page as materialized ("
        "  select id, at, caller, source, act, outcome, guid, view, bytes, details from audit"
        "  where id > (select told from mirrors where name = $1) and id <= (select least(upto,"
        "   (select min((gap ->> 0)::bigint) - 1 from jsonb_array_elements(waiting) gap)) from audit_sealing)"
        "  order by id limit $2"
        ") select page.*, not starts_with(caller, 'mirror:') and exists ("
        "  select from mirrored_entries m where m.mirror = $1 and m.guid = page.guid) as told from page order by id",
        mirror.name,
        count,
    )
    acts = []
    for row in rows:
        if row["told"]:
            act = {name: value for name, value in row.items() if name != "told"}
            acts.append(act | {"guid": str(row["guid"]), "at": row["at"].isoformat()})
    return acts, rows[-1]["id"] if rows else 0


async def told(db: Connection, mirror: Mirror, upto: int) -> None:
    await db.execute("update mirrors set told = greatest(told, $2) where name = $1", mirror.name, upto)
