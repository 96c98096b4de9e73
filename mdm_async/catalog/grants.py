"""Grants: one row is a request's item, its pin and its transfer URL.

All expiry is by the database's clock. A transfer URL's token is known here by its SHA-256 only.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from mdm_async.catalog.database import Connection
from mdm_async.errors import MdmError

FOR_PUT_DONE = "10 minutes"
"""How long an upload that outlived its transfer URL waits for putDone, at least."""
LONGEST_UPLOAD = "1 day"
"""After a transfer URL has expired, how long an upload that had begun before may still take."""
KEEP_DAYS = 3
"""How long a day's grants stay, at least; more than a day longer than the longest pin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A row of `grants`; times are the database's, `life` is what remains of it in seconds."""

    turl: bytes
    request: UUID
    item: int
    operation: str
    state: str
    caller: str
    surl: str
    life: float
    token: int | None = None
    description: str | None = None
    failure: str | None = None
    explanation: str | None = None
    entry: int | None = None
    image: UUID | None = None
    view: str | None = None
    version: str | None = None
    recipient: bytes | None = None
    secret: bytes | None = None
    context: bytes | None = None
    parent: int | None = None
    name: str | None = None
    replaces: UUID | None = None
    expected_size: int | None = None
    sealed: bool = False


@dataclass(frozen=True, slots=True)
class Liveness:
    """What one query says of a live transfer URL."""

    life: float
    """Seconds left; negative when expired."""
    revoked: bool
    """Released, aborted, deleted, or its token ended: running transfers stop too."""


_STORED = tuple(name for name in Grant.__dataclass_fields__ if name != "life")
_TYPES = {
    "turl": "bytea", "request": "uuid", "item": "int", "token": "bigint", "entry": "bigint", "image": "uuid",
    "recipient": "bytea", "secret": "bytea", "context": "bytea", "parent": "bigint", "replaces": "uuid",
    "expected_size": "bigint", "sealed": "boolean",
}  # fmt: skip
_INSERT = (
    f"insert into grants (day, expires, {', '.join(_STORED)})"
    f" select current_date, now() + make_interval(secs => life), {', '.join(_STORED)} from unnest("
    + ", ".join(
        f"${i}::{_TYPES.get(name, 'text')}[]" for i, name in enumerate((*_STORED, "life"), 1)
    ).replace(f"${len(_STORED) + 1}::text[]", f"${len(_STORED) + 1}::float8[]")
    + f") as g ({', '.join(_STORED)}, life)"
)
_SELECT = f"select {', '.join(_STORED)}, extract(epoch from expires - now())::float8 as life from grants g"


async def insert(db: Connection, grants: Sequence[Grant]) -> None:
    """All of a request's items in one statement."""
    columns = [[getattr(g, name) for g in grants] for name in (*_STORED, "life")]
    await db.execute(_INSERT, *columns)


async def by_turl(db: Connection, turl: bytes) -> tuple[Grant, bool] | None:
    """The grant of a transfer URL, and whether it serves: not expired, released, deleted or revoked."""
    row = await db.fetchrow(
        f"{_SELECT.replace(' from grants', f', {_SERVES} as serves from grants')} where turl = $1", turl
    )
    return (_grant(row), row["serves"]) if row else None


_SERVES = """(
    g.expires > now() and not exists (
        select from tokens t where t.id = g.token and (t.revoked is not null or t.expires < now())
    ) and case g.operation
        when 'get' then g.state = 'pinned'
            and exists (select from entries e where e.id = g.entry)
            and exists (select from images i where i.id = g.image and i.doomed is null)
        else g.state in ('open', 'uploaded', 'done')
    end
)"""


async def liveness(db: Connection, turls: Iterable[bytes]) -> dict[bytes, Liveness]:
    """How all live transfer URLs of a node stand, in one query. What is missing is no longer known."""
    rows = await db.fetch(
        f"select turl, extract(epoch from expires - now())::float8 as life,"
        f" {_SERVES.replace('g.expires > now() and', '', 1)} as serves"
        " from grants g where turl = any($1::bytea[])",
        list(turls),
    )
    return {row["turl"]: Liveness(row["life"], not row["serves"]) for row in rows}


async def of_request(db: Connection, request: UUID, caller: str) -> list[Grant]:
    """A caller's request, item by item; empty when there is none of his."""
    rows = await db.fetch(f"{_SELECT} where request = $1 and caller = $2 order by item", request, caller)
    return [_grant(row) for row in rows]


async def requests_of(db: Connection, caller: str, description: str | None) -> list[tuple[UUID, datetime]]:
    """A caller's requests, newest first, with the time each was made."""
    rows = await db.fetch(
        "select request, min(created) as made from grants"
        " where caller = $1 and ($2::text is null or description = $2) group by request order by made desc limit 1000",
        caller,
        description,
    )
    return [(row["request"], row["made"]) for row in rows]


async def settle(
    db: Connection, grant: Grant, state: str, expected: str, *, image: UUID | None = None, sealed: bool = False,
    name: str | None = None,
) -> bool:  # fmt: skip
    """Move one item from a state to another; False when something else moved it before, or it may no longer.

    An upload that was running when its time ended may finish, and is given a while for putDone.
    """
    status = await db.execute(
        # What arrived has a record of its own, encrypted; its exact size would identify it here.
        "update grants g set state = $3, image = coalesce($5, image), sealed = sealed or $6, name = coalesce($7, name),"
        " expected_size = null,"
        f" expires = case $3 when 'uploaded' then greatest(expires, now() + interval '{FOR_PUT_DONE}') else expires end"
        " where turl = $1 and item = $2 and state = $4 and (expires > now() or $3 = 'uploaded')"
        " and not exists (select from tokens t where t.id = g.token and t.revoked is not null)",
        grant.turl,
        grant.item,
        state,
        expected,
        image,
        sealed,
        name,
    )
    return status == "UPDATE 1"


async def was_put_by(db: Connection, image: UUID, caller: str) -> bool:
    """Whether this caller put the image there, as far back as grants are kept."""
    return bool(
        await db.fetchval(
            "select exists (select from grants"
            " where image = $1 and caller = $2 and operation = 'put' and state = 'done')",
            image,
            caller,
        )
    )


async def fail(db: Connection, grant: Grant, why: MdmError) -> None:
    """End an upload that lost to another, with the reason."""
    await db.execute(
        "update grants set state = 'failed', failure = $3, explanation = $4"
        " where turl = $1 and item = $2 and state = 'uploaded'",
        grant.turl,
        grant.item,
        why.srm,
        str(why),
    )


async def release(
    db: Connection, caller: str, request: UUID, surls: Sequence[str] | None
) -> list[tuple[Grant, bool]]:
    """End a request's pins (all, or those of some SURLs); all its items as they were, and which of them this ended.

    Repeating it is no error.
    """
    rows = await db.fetch(
        "with released as (update grants set state = 'released' where request = $1 and caller = $2"
        " and state = 'pinned' and ($3::text[] is null or surl = any($3)) returning turl)"
        f" {_SELECT.replace(' from grants', ', turl in (select turl from released) as ended from grants')}"
        " where request = $1 and caller = $2 order by item",
        request,
        caller,
        list(surls) if surls is not None else None,
    )
    return [(_grant(row), row["ended"]) for row in rows]


async def release_entries(db: Connection, caller: str, entries: Sequence[int]) -> set[int]:
    """End all of a caller's pins on these entries, whatever request made them; the entries that he ever pinned."""
    rows = await db.fetch(
        "with released as ("
        "  update grants set state = 'released' where entry = any($1::bigint[]) and caller = $2 and state = 'pinned'"
        ") select distinct entry from grants where entry = any($1::bigint[]) and caller = $2",
        list(entries),
        caller,
    )
    return {row["entry"] for row in rows}


async def abort(db: Connection, caller: str, request: UUID, surls: Sequence[str] | None) -> list[Grant]:
    """End what a request still holds, pins and unfinished uploads; the items as they now are."""
    rows = await db.fetch(
        f"with g as (update grants set state = 'aborted' where request = $1 and caller = $2"
        f" and state in ('pinned', 'open', 'uploaded') and ($3::text[] is null or surl = any($3)) returning *)"
        f" {_SELECT.replace('grants g', 'g')}",
        request,
        caller,
        list(surls) if surls is not None else None,
    )
    return [_grant(row) for row in rows]


async def extend(
    db: Connection, caller: str, request: UUID, surls: Sequence[str] | None, seconds: int
) -> list[Grant]:
    """Give live items a new life from now; the items as they now are."""
    rows = await db.fetch(
        f"with g as (update grants set expires = now() + make_interval(secs => $4)"
        f" where request = $1 and caller = $2 and state in ('pinned', 'open', 'uploaded') and expires > now()"
        f" and ($3::text[] is null or surl = any($3)) returning *)"
        f" {_SELECT.replace('grants g', 'g')}",
        request,
        caller,
        list(surls) if surls is not None else None,
        seconds,
    )
    return [_grant(row) for row in rows]


_OVER = (
    "operation = 'put' and (state = 'uploaded' and expires < now()"
    f" or state = 'open' and expires < now() - interval '{LONGEST_UPLOAD}')"
)


async def expire_uploads(db: Connection, count: int) -> list[UUID]:
    """Fail uploads whose time is over; the images that some of them had brought. Those that run may go on."""
    rows = await db.fetch(
        "update grants set state = 'failed', failure = 'SRM_FILE_LIFETIME_EXPIRED' where (day, turl) in ("
        f"  select day, turl from grants where {_OVER} limit $1"
        f") and {_OVER} returning image",
        count,
    )
    return [row["image"] for row in rows if row["image"] is not None]


async def keep_partitions(db: Connection) -> None:
    """Make the partitions of today and the next two days; drop those of days long over."""
    await db.execute("select pg_advisory_xact_lock(hashtext('mdm grants partitions'))")
    today = await db.fetchval("select current_date")
    existing = await db.fetch(
        "select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid"
        " where i.inhparent = 'grants'::regclass"
    )
    names = {row["relname"] for row in existing}
    for ahead in range(3):
        name = await db.fetchval("select to_char($1::date + $2::int, '\"grants_\"YYYYMMDD')", today, ahead)
        if name not in names:
            bounds = await db.fetchrow("select $1::date + $2::int, $1::date + $2::int + 1", today, ahead)
            assert bounds is not None
            await db.execute(
                f"create table if not exists {name} partition of grants"
                f" for values from ('{bounds[0]}') to ('{bounds[1]}')"
            )
    oldest = await db.fetchval("select to_char($1::date - $2::int, '\"grants_\"YYYYMMDD')", today, KEEP_DAYS)
    for name in sorted(names):
        if name < oldest and not await db.fetchval(
            f"select exists (select from {name} where operation = 'put' and state in ('open', 'uploaded'))"
        ):
            await db.execute(f"drop table {name}")


def _grant(row: asyncpg.Record) -> Grant:
    return Grant(**{name: row[name] for name in (*_STORED, "life")})
