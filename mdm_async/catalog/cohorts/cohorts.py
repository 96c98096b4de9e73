"""Cohorts as they lie at directories: made, found by name, listed, cut off."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from mdm_async.errors import Exists, NoSpace
from mdm_async.postgres.database import Connection

LAPSE = "1 hour"
"""After so long a cohort whose members are not all written down was given up by whoever made it."""


@dataclass(frozen=True, slots=True)
class Cohort:
    """`sealed`: its signed statement and what it was made of."""

    id: int
    guid: UUID
    directory: int
    name: str
    view: str | None
    """None: each entry's default view."""
    members: int
    created: datetime
    created_by: str
    sealed: bytes


_COLUMNS = "id, guid, directory, name, view, members, created, created_by, sealed"


async def make(
    db: Connection, directory: int, name: str, view: str | None, by: str, most: int
) -> tuple[int, UUID, datetime]:
    """A cohort without members, which nobody sees until it is finished: its id, GUID, and when it was made.

    A directory takes `most` of them. Raises Exists, NoSpace.
    """
    # Whoever else makes one there waits, and is counted then.
    await db.execute("select from entries where id = $1 for no key update", directory)
    if await db.fetchval("select count(*) >= $2 from cohorts where directory = $1", directory, most):
        raise NoSpace(f"a directory takes {most} cohorts", remedy="delete some, or name another directory")
    row = await db.fetchrow(
        "insert into cohorts (directory, name, view, created_by) values ($1, $2, $3, $4)"
        " on conflict do nothing returning id, guid, created",
        directory,
        name,
        view,
        by,
    )
    if row is None:
        raise Exists("a cohort of that name is there already")
    return row["id"], row["guid"], row["created"]


async def finish(db: Connection, cohort: int, members: int, sealed: bytes) -> bool:
    """Let it be seen; False when it, or its directory, has gone meanwhile."""
    status = await db.execute(
        "update cohorts set members = $2, sealed = $3"
        " where id = $1 and members is null and directory is not null",
        cohort,
        members,
        sealed,
    )
    return status == "UPDATE 1"


async def named(db: Connection, directory: int, name: str) -> Cohort | None:
    row = await db.fetchrow(
        f"select {_COLUMNS} from cohorts where directory = $1 and name = $2 and members is not null",
        directory,
        name,
    )
    return _cohort(row) if row is not None else None


async def at(db: Connection, directory: int, after: str, count: int) -> Sequence[Cohort]:
    """Those of a directory by name, some after a name."""
    rows = await db.fetch(
        f"select {_COLUMNS} from cohorts where directory = $1 and name > $2 and members is not null"
        " order by name limit $3",
        directory,
        after,
        count,
    )
    return [_cohort(row) for row in rows]


async def cut_off(db: Connection, cohort: int) -> bool:
    """Let nobody see it any more; its members are removed later. False when somebody did before."""
    status = await db.execute(
        "update cohorts set directory = null where id = $1 and directory is not null", cohort
    )
    return status == "UPDATE 1"


async def give_up_unfinished(db: Connection, count: int) -> int:
    """Cut off some whose makers never came back; how many."""
    status = await db.execute(
        "with page as materialized (select id from cohorts where members is null and directory is not null"
        f"  and created < now() - interval '{LAPSE}' order by created limit $1 for update skip locked)"
        " update cohorts set directory = null where id = any(array(select id from page))",
        count,
    )
    return int(status.removeprefix("UPDATE "))


def _cohort(row: asyncpg.Record) -> Cohort:
    return Cohort(*row.values())
