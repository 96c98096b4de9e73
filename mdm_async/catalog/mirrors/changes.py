"""What a mirror is to be sent: which things to look at, each at most once in the queue, the longest due first.

A thing that changes again while it is sent has another `version` then, and stays.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mdm_async.catalog.work.queue import COUNTED
from mdm_async.postgres.database import Connection

_FIRST_PAUSE, _LONGEST_PAUSE, _LONGEST_OF_PROFILES = 10.0, 3600.0, 60.0
"""Seconds that a change waits which the mirror did not take, and at the most; others wait for a profile."""
_HASTENED = 1000
"""Changes of one statement."""


@dataclass(frozen=True, slots=True)
class Change:
    id: int
    version: int
    kind: str
    guid: UUID | None
    name: str | None
    at: datetime
    failure: str | None


@dataclass(frozen=True, slots=True)
class Lag:
    """What is still to be sent: so many changes (counted no further than COUNTED), the oldest so many seconds old, of
    which so many failed."""

    waiting: int
    seconds: float
    failed: int


async def note(
    db: Connection,
    mirror: str,
    kind: str,
    guids: Sequence[UUID],
    after: str | None = None,
    *,
    since: datetime,
) -> None:
    """`since`: when that changed by which these are to be looked at. What is to be looked at anyway is so once."""
    await db.execute(
        "insert into mirror_changes (mirror, kind, guid, name, at)"
        " select distinct $1, $2, guid, $4, $5::timestamptz from unnest($3::uuid[]) as g (guid)"
        " where not exists (select from mirror_changes c where c.mirror = $1 and c.kind = $2 and c.guid = g.guid"
        "  and c.name is not distinct from $4)"
        " order by guid on conflict do nothing",
        *(mirror, kind, list(guids), after, since),
    )


async def note_profile(db: Connection, mirror: str, name: str) -> None:
    await db.execute("select note_for_mirror($1, 'profile', null, $2)", mirror, name)


async def page(db: Connection, mirror: str, count: int, *, shreds: bool) -> list[Change]:
    """Those that are due longest."""
    rows = await db.fetch(
        "select id, version, kind, guid, name, at, failure from mirror_changes"
        " where mirror = $1 and (kind = 'shred') = $3 and due <= clock_timestamp() order by due, id limit $2",
        *(mirror, count, shreds),
    )
    return [Change(*row.values()) for row in rows]


_READ = (
    "with read as materialized (select c.id from unnest($1::bigint[], $2::integer[]) r (id, version)"
    " join mirror_changes c on c.id = r.id and c.version = r.version for update of c skip locked)"
)
"""Whoever changes one of them just now is not waited for: it is to be sent again."""


async def done(db: Connection, changes: Collection[Change]) -> None:
    """They have been sent, as they were when they were read."""
    await db.execute(
        f"{_READ} delete from mirror_changes where id in (select id from read)",
        [change.id for change in changes],
        [change.version for change in changes],
    )


async def put_off(db: Connection, changes: Collection[Change], reason: str) -> None:
    """The mirror did not take them: each waits longer each time. `reason` is a kind of error, never its words, or the
    profile that is waited for."""
    await db.execute(
        f"{_READ} update mirror_changes set attempts = attempts + 1, failure = $3,"
        " due = clock_timestamp() + make_interval(secs => least("
        f"  case kind when 'profile' then {_LONGEST_OF_PROFILES} else {_LONGEST_PAUSE} end,"
        f"  {_FIRST_PAUSE} * 2.0 ^ least(attempts, 20)))"
        " where id in (select id from read)",
        [change.id for change in changes],
        [change.version for change in changes],
        reason,
    )


async def hasten(db: Connection, mirror: str, reason: str) -> bool:
    """What was put off for this reason may have it no more: some of it is due now. Whether there may be more."""
    status = await db.execute(
        "update mirror_changes set due = clock_timestamp(), attempts = 0 where id = any(array("
        " select id from mirror_changes where mirror = $1 and failure = $2 and due > clock_timestamp()"
        " limit $3 for update skip locked))",
        *(mirror, reason, _HASTENED),
    )
    return status != "UPDATE 0"


_OLDEST = "coalesce((select min(at) from mirror_changes where mirror = $1), clock_timestamp())"


async def lag(db: Connection, mirror: str) -> Lag:
    row = await db.fetchrow(
        f"select count(*) as waiting, extract(epoch from clock_timestamp() - {_OLDEST})::float8 as seconds,"
        f" (select count(*) from (select from mirror_changes where mirror = $1 and failure is not null"
        f"  limit {COUNTED}) f) as failed"
        f" from (select from mirror_changes where mirror = $1 limit {COUNTED}) c",
        mirror,
    )
    assert row is not None
    return Lag(row["waiting"], max(0.0, row["seconds"]), row["failed"])


async def complete(db: Connection, mirror: str) -> datetime | None:
    """All changes before it have been sent, and taken; what is committed late counts by when it was made. None until
    what was there when the mirror was added has been."""
    return await db.fetchval(  # type: ignore[no-any-return]
        f"select oldest from (select {_OLDEST} as oldest) o"
        " where oldest > (select added from mirrors where name = $1)",
        mirror,
    )
