"""The audit trail read and sealed. Who writes rows is `audit`; what a seal says is not known here."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg

from mdm_async.postgres.database import Connection

FIRST = -(1 << 63)
LAST = (1 << 63) - 1
"""The least and the greatest of Postgres's bigints: before and after every id and number."""

_MICROSECONDS = f"""case
    when isfinite({{0}}) then (extract(epoch from {{0}}) * 1000000)::bigint
    when {{0}} > 'epoch' then {LAST} else {FIRST + 1} end"""
COLUMNS = (
    f"id, {_MICROSECONDS.format('at')} as at, caller, act, outcome, guid::text as guid, view, bytes, source,"
    " details::text as details, seal"
)
_SKEW = timedelta(seconds=10)
"""Ids and times are given out together, so rows in order of their ids are in that of their times, but for this."""
_LOCK = "hashtext('mdm audit seals')"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which rows are asked for; None: all."""

    since: datetime | None = None
    until: datetime | None = None
    caller: str | None = None
    guid: UUID | None = None
    act: str | None = None

    @property
    def is_set(self) -> bool:
        return any(getattr(self, field.name) is not None for field in fields(self))

    def clause(self, taken: int) -> tuple[str, list[Any]]:
        """Conditions, and their arguments from $taken+1 on. Only what is asked for, so that indexes serve it."""
        wanted = {
            "at >= {}": self.since,
            "at < {}": self.until,
            "caller = {}": self.caller,
            "guid = {}": self.guid,
            "act = {}": self.act,
        }
        given = [(test, value) for test, value in wanted.items() if value is not None]
        tests = "".join(f" and {test.format(f'${taken + i}')}" for i, (test, _) in enumerate(given, 1))
        return tests, [value for _, value in given]


async def now(db: Connection) -> int:
    """The database's clock in microseconds since 1970."""
    found: int = await db.fetchval(f"select {_MICROSECONDS.format('clock_timestamp()')}")
    return found


async def may_seal(db: Connection) -> bool:
    """True for one transaction at a time; the others need not wait."""
    return bool(await db.fetchval(f"select pg_try_advisory_xact_lock({_LOCK})"))


async def wait_for_seal(db: Connection) -> None:
    """Return when no seal is being made, and let none be until the transaction ends."""
    await db.execute(f"select pg_advisory_xact_lock_shared({_LOCK})")


async def add_seal(db: Connection, number: int, text: str, index: bytes, ids: Sequence[int]) -> None:
    """Put rows, by their ids in order, under a new seal."""
    await db.execute(
        "insert into audit_seals (number, text, rows, first_id, last_id) values ($1, $2, $3, $4, $5)",
        *(number, text, index, ids[0], ids[-1]),
    )


async def last_seal(db: Connection) -> tuple[int, str] | None:
    row = await db.fetchrow("select number, text from audit_seals order by number desc limit 1")
    return (row["number"], row["text"]) if row is not None else None


async def seals_from(db: Connection, number: int, count: int) -> list[tuple[int, str]]:
    """Seals with this number or a greater one, in order."""
    rows = await db.fetch(
        "select number, text from audit_seals where number >= $1 order by number limit $2", number, count
    )
    return [(row["number"], row["text"]) for row in rows]


async def index_sizes(db: Connection, above: int, to: int, count: int) -> list[tuple[int, int]]:
    """Numbers of seals above one and up to another, and the bytes of their row indexes."""
    rows = await db.fetch(
        "select number, octet_length(rows) as size from audit_seals where number > $1 and number <= $2"
        " order by number limit $3",
        above,
        to,
        count,
    )
    return [(row["number"], row["size"]) for row in rows]


async def seals_between(db: Connection, above: int, to: int) -> list[tuple[int, str, bytes]]:
    """Seals with their row indexes."""
    rows = await db.fetch(
        "select number, text, rows from audit_seals where number > $1 and number <= $2 order by number",
        above,
        to,
    )
    return [(row["number"], row["text"], row["rows"]) for row in rows]


async def marked(db: Connection, after: tuple[int, int], to: int, count: int) -> list[tuple[int, int]]:
    """Rows that bear a seal's number themselves, as the version before gave it: seal and id, in that order."""
    rows = await db.fetch(
        "select seal, id from audit where (seal, id) > ($1, $2) and seal <= $3 order by seal, id limit $4",
        *(*after, to, count),
    )
    return [(row["seal"], row["id"]) for row in rows]


async def rows_by_id(db: Connection, ids: Collection[int]) -> dict[int, asyncpg.Record]:
    rows = await db.fetch(f"select {COLUMNS} from audit where id = any($1::bigint[])", list(ids))
    return {row["id"]: row for row in rows}


async def indexes_over(db: Connection, first: int, last: int) -> list[tuple[int, bytes]]:
    """Seals that may name rows with ids from one to another, and their row indexes."""
    rows = await db.fetch(
        "select number, rows from audit_seals where first_id is not null"
        " and int8range(first_id, last_id, '[]') && int8range($1, $2, '[]')",
        *(first, last),
    )
    return [(row["number"], row["rows"]) for row in rows]


async def beyond(db: Connection, after: tuple[int, int], horizon: int, count: int) -> list[asyncpg.Record]:
    """Rows that bear the number of a seal beyond the last one that there is, by that and their ids."""
    return await db.fetch(
        f"select {COLUMNS} from audit a where seal > $3 and (seal, id) > ($1, $2)"
        "  and not exists (select from audit_seals where number = a.seal) order by seal, id limit $4",
        *(*after, horizon, count),
    )


async def unmarked(db: Connection, after: int, count: int) -> list[int]:
    """Ids, in order, of rows that bear no seal's number."""
    rows = await db.fetch(
        "select id from audit where seal is null and id > $1 order by id limit $2", after, count
    )
    return [row["id"] for row in rows]


async def pruned(db: Connection) -> tuple[int, int]:
    """The last seal that was pruned, 0 when none was, and how many rows were under it and those before."""
    row = await db.fetchrow("select pruned, pruned_rows from audit_sealing")
    return (row["pruned"], row["pruned_rows"]) if row is not None else (0, 0)


async def wait_for_pruning(db: Connection) -> None:
    """Return when nobody says what is pruned, and let nobody until the transaction ends."""
    await db.execute("select pg_advisory_xact_lock(hashtext('mdm audit pruned'))")


async def set_pruned(db: Connection, seal: int, rows: int) -> None:
    await db.execute("update audit_sealing set pruned = $1, pruned_rows = $2", seal, rows)


async def first_seal_since(db: Connection, time: datetime) -> int | None:
    """The first seal that was not made before then, or the last of all; None when there is none."""
    row = await db.fetchrow("select min(number) as low, max(number) as high from audit_seals")
    if row is None or row["high"] is None:
        return None
    low, high = row["low"], row["high"]
    while low < high:
        middle = (low + high) // 2
        seal = await db.fetchrow(
            "select number, at < $2 as is_before from audit_seals where number >= $1 order by number limit 1",
            middle,
            time,
        )
        if seal is not None and seal["is_before"]:
            low = min(seal["number"] + 1, high)
        else:
            high = middle
    return int(low)


async def remove(db: Connection, upto: int, ids: Sequence[int]) -> None:
    """Seals up to one, and these rows. For pruning alone: the trigger that guards rows lets this transaction pass."""
    await db.execute("select set_config('mdm.pruning', 'on', true)")
    await db.execute("delete from audit where id = any($1::bigint[])", ids)
    await db.execute("delete from audit_seals where number <= $1", upto)


async def filtered_rows(db: Connection, wanted: Filter, after: int, count: int) -> list[asyncpg.Record]:
    """Rows with greater ids, in their order."""
    first, last = await _ids(db, wanted)
    tests, arguments = wanted.clause(3)
    return await db.fetch(
        f"select {COLUMNS} from audit where id between $1 and $2{tests} order by id limit $3",
        max(first, min(after, LAST - 1) + 1),
        last,
        count,
        *arguments,
    )


async def newest(db: Connection, wanted: Filter, count: int) -> list[asyncpg.Record]:
    """The last rows, oldest first."""
    first, last = await _ids(db, wanted)
    tests, arguments = wanted.clause(3)
    rows = await db.fetch(
        f"select {COLUMNS} from audit where id between $1 and $2{tests} order by id desc limit $3",
        first,
        last,
        count,
        *arguments,
    )
    return rows[::-1]


async def _ids(db: Connection, wanted: Filter) -> tuple[int, int]:
    """Between which ids the rows of a time lie, so that others need not be looked at."""
    first, last = FIRST, LAST
    if wanted.since is not None:
        first = await _first_id(db, wanted.since - _SKEW)
    if wanted.until is not None:
        last = await _first_id(db, wanted.until + _SKEW)
    return first, last


async def _first_id(db: Connection, time: datetime) -> int:
    """About the first id of that time, found in some thirty looks, however many rows there are."""
    low, high = await db.fetchrow("select coalesce(min(id), 0), coalesce(max(id) + 1, 0) from audit") or (
        0,
        0,
    )
    while low < high:
        middle = (low + high) // 2
        row = await db.fetchrow(
            "select id, at < $2 as is_before from audit where id >= $1 order by id limit 1", middle, time
        )
        if row is not None and row["is_before"]:
            low = row["id"] + 1
        else:
            high = middle
    return int(low)
