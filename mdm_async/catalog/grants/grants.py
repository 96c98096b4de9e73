"""Grants: one row is a request's item, its pin and its transfer URL.

All expiry is by the database's clock. A transfer URL's token is known here by its SHA-256 only.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

import asyncpg

from mdm_async.catalog.grants.states import State
from mdm_async.catalog.trail import acts as audit
from mdm_async.catalog.trail.acts import Act
from mdm_async.errors import MdmError
from mdm_async.postgres.database import Connection

FOR_PUT_DONE = "10 minutes"
"""How long an upload that outlived its transfer URL waits for putDone, at least."""
LONGEST_UPLOAD = "1 day"
"""After a transfer URL has expired, how long an upload that had begun before may still take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A row of `grants`; times are the database's, `life` is what remains of it in seconds."""

    turl: bytes
    request: UUID
    item: int
    operation: str
    state: State
    caller: str
    owner: str
    """Whose request it is: `Caller.owner`."""
    who: int | None = None
    """The row of `callers` that says what else is known of the caller."""
    surl: str
    life: float
    token: int | None = None
    description: str | None = None
    failure: str | None = None
    explanation: str | None = None
    entry: int | None = None
    guid: UUID | None = None
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
    announced: bytes | None = None
    """The size that is expected, sealed."""
    sealed: bool = False
    until: float | None = None
    """Of one that waits: when its caller's credential ends (Unix time, seconds), if it does."""
    cohort: int | None = None
    """Through which one it reads; `parent` is then its directory."""
    keeper: str | None = None
    """Whose share of the cache it is, if it may live for longer than usual."""
    keeps: int | None = None
    """Bytes of the cache, where it does."""
    kept: bool = True
    """False: it is of one request only, and has no row; the node that serves it watches it all the same."""


@dataclass(frozen=True, slots=True)
class Liveness:
    """What one query says of a live transfer URL."""

    life: float
    """Seconds left, of it and of its token; negative when expired."""
    revoked: bool
    """Released, aborted, deleted, or its token revoked: running transfers stop too."""
    registration: UUID | None = None
    """Of the keys that its image has now."""


STORED = tuple(name for name in Grant.__dataclass_fields__ if name not in ("life", "kept"))
_TYPES = {
    "turl": "bytea", "request": "uuid", "item": "int", "token": "bigint", "who": "bigint", "entry": "bigint",
    "guid": "uuid", "image": "uuid", "recipient": "bytea", "secret": "bytea", "context": "bytea",
    "parent": "bigint", "replaces": "uuid", "expected_size": "bigint", "announced": "bytea",
    "sealed": "boolean", "until": "float8", "cohort": "bigint", "keeps": "bigint",
}  # fmt: skip
_INSERT = (
    f"insert into grants (day, expires, {', '.join(STORED)})"
    f" select current_date, now() + make_interval(secs => life), {', '.join(STORED)} from unnest("
    + ", ".join(f"${i}::{_TYPES.get(name, 'text')}[]" for i, name in enumerate((*STORED, "life"), 1)).replace(
        f"${len(STORED) + 1}::text[]", f"${len(STORED) + 1}::float8[]"
    )
    + f") as g ({', '.join(STORED)}, life)"
)
UNSYNCED = "set_config('synchronous_commit', 'off', true)"
"""Within a statement: its transaction does not wait for the disk."""
_LIFE = "extract(epoch from least(g.expires, (select t.expires from tokens t where t.id = g.token)) - now())::float8"
SELECT = f"select {', '.join(STORED)}, {_LIFE} as life from grants g"


async def insert(db: Connection, grants: Sequence[Grant]) -> None:
    """All of a request's items in one statement."""
    await db.execute(_INSERT, *_columns(grants))


async def insert_audited(db: Connection, grants: Sequence[Grant], acts: Sequence[Act], *, sync: bool) -> None:
    """A request's items and what the audit says of them, in one statement.

    With `sync` false it does not wait for the disk: a crash of Postgres within about half a second may lose both, and
    clients prepare again. Only what lets somebody read may be lost so.
    """
    statement = _INSERT_AUDITED if sync else _INSERT_AUDITED_UNSYNCED
    await db.execute(statement, *_columns(grants), *audit.arguments(acts))


_INSERT_AUDITED = f"with granted as ({_INSERT}) {audit.insertion(len(STORED) + 2)}"
_INSERT_AUDITED_UNSYNCED = (
    f"with granted as ({_INSERT}), audited as ({audit.insertion(len(STORED) + 2)}) select {UNSYNCED}"
)


def _columns(grants: Sequence[Grant]) -> list[list[Any]]:
    return [[getattr(g, name) for g in grants] for name in (*STORED, "life")]


class Found(NamedTuple):
    """A grant as its transfer URL finds it."""

    grant: Grant
    serves: bool
    """Not expired, released, deleted or revoked."""
    registration: UUID | None
    """Of the keys that its image has now."""


async def by_turl(db: Connection, turl: bytes) -> Found | None:
    more = f", {_SERVES} as serves, {_REGISTRATION} as registration from grants"
    row = await db.fetchrow(f"{SELECT.replace(' from grants', more)} where turl = $1", turl)
    return Found(grant_of(row), row["serves"], row["registration"]) if row else None


_GOES_ON = """(
    not exists (select from tokens t where t.id = g.token and t.revoked is not null) and case g.operation
        when 'get' then g.state = 'pinned'
            and case when g.cohort is null then exists (select from entries e where e.id = g.entry)
                else exists (select from cohorts c where c.id = g.cohort and c.directory is not null) end
            and exists (select from images i where i.id = g.image and i.doomed is null)
        else g.state in ('open', 'uploaded', 'done')
    end
)"""
"""Whether what runs by it may go on: expiry stops new requests only."""
_SERVES = f"({_LIFE} > 0 and {_GOES_ON})"


_REGISTRATION = "(select i.registration from images i where i.id = g.image)"


async def liveness(db: Connection, turls: Iterable[bytes]) -> dict[bytes, Liveness]:
    """How transfer URLs stand, in one query. What is missing is no longer known."""
    rows = await db.fetch(
        f"select turl, {_LIFE} as life, {_GOES_ON} as goes_on, {_REGISTRATION} as registration"
        " from grants g where turl = any($1::bytea[])",
        list(turls),
    )
    return {row["turl"]: Liveness(row["life"], not row["goes_on"], row["registration"]) for row in rows}


async def liveness_unkept(db: Connection, grants: Collection[Grant]) -> dict[bytes, Liveness]:
    """As `liveness`, of grants that have no row: by what they say themselves."""
    rows = await db.fetch(
        f"select turl, {_GOES_ON} as goes_on, {_REGISTRATION} as registration"
        " from (select *, null::bigint as cohort"
        "  from unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::bigint[], $6::uuid[])"
        "   as g (turl, token, operation, state, entry, image)) g",
        [g.turl for g in grants],
        [g.token for g in grants],
        [g.operation for g in grants],
        [g.state for g in grants],
        [g.entry for g in grants],
        [g.image for g in grants],
    )
    lives = {g.turl: g.life for g in grants}
    return {
        row["turl"]: Liveness(lives[row["turl"]], not row["goes_on"], row["registration"]) for row in rows
    }


async def pins_of(db: Connection, images: Iterable[UUID]) -> dict[UUID, int]:
    """How many pins hold each image, neither released nor expired. What nobody has pinned is left out."""
    rows = await db.fetch(
        "select image, count(*) as pins from grants g"
        " where image = any($1::uuid[]) and operation = 'get' and state = 'pinned' and expires > now() group by image",
        list(images),
    )
    return {row["image"]: row["pins"] for row in rows}


async def settle(
    db: Connection, grant: Grant, state: State, expected: State, *, image: UUID | None = None, sealed: bool = False,
    name: str | None = None,
) -> bool:  # fmt: skip
    """Move one item from a state to another; False when something else moved it before, or it may no longer.

    An upload that was running when its time ended may finish, and is given a while for putDone.
    """
    status = await db.execute(
        # What arrived has a record of its own, encrypted; its exact size would identify it here.
        "update grants g set state = $3, image = coalesce($5, image), sealed = sealed or $6, name = coalesce($7, name),"
        " expected_size = null, announced = null,"
        # By it what was recorded on its way could be opened; it is needed no more.
        " secret = case when $3 in ('done', 'aborted') then null else secret end,"
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


async def pin(
    db: Connection, grant: Grant, version: str, seconds: float, context: bytes | None = None
) -> bool:
    """Let a file's transfer URL serve, now that it is online; False when it does not wait for that any more.

    `version` is that of its view, `context` what the sealed transfer's keys depend on. It lives for so many seconds,
    and no longer than the credential that it was asked for with.
    """
    status = await db.execute(
        "update grants g set state = 'pinned', version = $3, context = $4,"
        " expires = now() + make_interval(secs => least($5, g.until - extract(epoch from now())::float8))"
        " where turl = $1 and item = $2 and operation = 'get' and state in ('queued', 'staging') and expires > now()"
        " and not exists (select from tokens t where t.id = g.token and t.revoked is not null)",
        grant.turl,
        grant.item,
        version,
        context,
        seconds,
    )
    return status == "UPDATE 1"


async def keep(db: Connection, made: Collection[Grant]) -> None:
    """Let pins live for their `life` from now, and no longer than the credential they were asked for with; and have
    what they keep of the cache counted.
    """
    await db.execute(
        "update grants g set keeper = k.keeper, keeps = k.keeps, expires = now() + make_interval(secs =>"
        "  least(k.life, g.until - extract(epoch from now())::float8))"
        " from unnest($1::bytea[], $2::int[], $3::text[], $4::bigint[], $5::float8[])"
        "  as k (turl, item, keeper, keeps, life)"
        " where g.turl = k.turl and g.item = k.item and g.state in ('pinned', 'done')",
        [one.turl for one in made],
        [one.item for one in made],
        [one.keeper for one in made],
        [one.keeps for one in made],
        [one.life for one in made],
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


_UNFINISHED = "operation = 'put' and state in ('open', 'uploaded')"
_END = f"case state when 'open' then expires + interval '{LONGEST_UPLOAD}' else expires end"
"""Of an upload that is not published: one that runs may go on, one that has arrived waits for putDone no longer."""
_LOOK_AGAIN = "10 minutes"
"""What was open may have arrived meanwhile, and then ends earlier."""


async def expire_uploads(db: Connection, count: int) -> tuple[int, list[UUID]]:
    """Look at some uploads whose time may be over, and fail those of which it is: how many were looked at, and the
    images that some of the failed had brought. In a transaction.
    """
    rows = await db.fetch(
        "select turl, item, day from uploads_to_end where due < now() order by due limit $1 for update skip locked",
        count,
    )
    looked_at = [[row[name] for row in rows] for name in ("turl", "item", "day")]
    mine = "unnest($1::bytea[], $2::int[], $3::date[]) as t (turl, item, day)"
    failed = await db.fetch(
        f"update grants g set state = 'failed', failure = 'SRM_FILE_LIFETIME_EXPIRED' from {mine}"
        f" where g.turl = t.turl and g.item = t.item and g.day = t.day and {_UNFINISHED} and {_END} < now()"
        " returning image",
        *looked_at,
    )
    left = await db.fetch(
        f"select t.turl, t.item, g.until from {mine} cross join lateral (select {_END} as until from grants"
        f" where turl = t.turl and item = t.item and day = t.day and {_UNFINISHED} offset 0) g",
        *looked_at,
    )
    kept = {(row["turl"], row["item"]) for row in left}
    await db.execute(
        "update uploads_to_end u"
        f" set due = least(t.until, now() + interval '{_LOOK_AGAIN}')"
        " from unnest($1::bytea[], $2::int[], $3::timestamptz[]) as t (turl, item, until)"
        " where u.turl = t.turl and u.item = t.item",
        [row["turl"] for row in left],
        [row["item"] for row in left],
        [row["until"] for row in left],
    )
    gone = [(row["turl"], row["item"]) for row in rows if (row["turl"], row["item"]) not in kept]
    await db.execute(
        "delete from uploads_to_end u using unnest($1::bytea[], $2::int[]) as t (turl, item)"
        " where u.turl = t.turl and u.item = t.item",
        [turl for turl, _ in gone],
        [item for _, item in gone],
    )
    return len(rows), [row["image"] for row in failed if row["image"] is not None]


def grant_of(row: asyncpg.Record) -> Grant:
    return Grant(**{name: row[name] for name in (*STORED, "life")})
