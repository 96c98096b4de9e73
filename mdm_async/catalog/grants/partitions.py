"""The days of `grants`, a partition each: made far ahead, dropped when nothing in them lives.

Each is made or dropped in a transaction of its own that waits for nobody's lock for long: nothing depends on when it
succeeds, as long as it does within the days that are there ahead.
"""

from datetime import date, timedelta

import asyncpg

from mdm_async.errors import Unavailable
from mdm_async.postgres.database import Connection, Database

AHEAD = 10
"""Days that have a partition before they come."""
KEPT = 3
"""Days that a day's grants stay, at least. Longer while one of them lives (`days_kept`, kept by triggers)."""
_PATIENCE = "200ms"
"""For a lock that everybody waits for who comes after us."""


async def days(db: Connection) -> tuple[date, set[date]]:
    """Today by the database's clock, and the days that have a partition."""
    rows = await db.fetch(
        "select current_date as today, to_date(substr(c.relname, 8), 'YYYYMMDD') as day"
        " from pg_class t left join pg_inherits i on i.inhparent = t.oid left join pg_class c on c.oid = i.inhrelid"
        " where t.oid = 'grants'::regclass"
    )
    return rows[0]["today"], {row["day"] for row in rows if row["day"] is not None}


async def make(database: Database, day: date) -> bool:
    """A day's partition; False when a lock could not be had now. Nobody who reads or writes grants waits for it."""
    name = _name(day)
    try:
        async with database.transaction() as db:
            await _begin(db)
            if day in (await days(db))[1]:
                return True
            # Attached, not made as a part of `grants`, for which that table would be locked against all.
            await db.execute(f"create table {name} (like grants including all)")
            await db.execute(
                f"alter table grants attach partition {name} for values from ('{day}') to ('{day + timedelta(1)}')"
            )
    except (asyncpg.LockNotAvailableError, Unavailable):
        return False
    return True


async def drop(database: Database, day: date) -> bool:
    """Drop a day that is over, unless something of it lives or a lock cannot be had now: whether it has gone."""
    name = _name(day)
    try:
        async with database.transaction() as db:
            await _begin(db)
            if await _lives(db, day):
                return False
            await db.execute(f"lock table {name} in access exclusive mode")
            # Once more: nobody can give it a longer life any more.
            if await _lives(db, day):
                return False
            await db.execute("delete from days_kept where day = $1", day)
            await db.execute(f"drop table {name}")
    except (asyncpg.LockNotAvailableError, Unavailable):
        return False
    return True


async def _begin(db: Connection) -> None:
    await db.execute(f"set local lock_timeout = '{_PATIENCE}'")
    await db.execute("select pg_advisory_xact_lock(hashtext('mdm grants partitions'))")


async def _lives(db: Connection, day: date) -> bool:
    return bool(
        await db.fetchval(
            "select $1 >= current_date - $2::int"
            " or exists (select from days_kept where day = $1 and until > current_date)"
            " or exists (select from uploads_to_end where day = $1)",
            day,
            KEPT,
        )
    )


def _name(day: date) -> str:
    return f"grants_{day:%Y%m%d}"
