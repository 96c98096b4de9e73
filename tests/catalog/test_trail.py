"""The trail's SQL: what waits for a seal, whose turn it is, which rows a filter leaves, what entries are called."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from mdm_async.catalog.trail import acts, ledger, unsealed
from mdm_async.catalog.trail.acts import Act
from mdm_async.catalog.trail.ledger import FIRST, LAST, Filter
from mdm_async.names import Caller
from mdm_async.postgres.database import Database
from tests.auditing.database import UNGUARDED

USER = Caller("user:a", frozenset(), source="192.0.2.7")


async def test_rows_wait_until_a_seal_covers_them(database: Database) -> None:
    async with database.transaction() as db:
        await acts.record(db, [Act(USER, "ls") for _ in range(4)])
        waiting = await unsealed.waiting(db, 0, 3)
        ids = [row["id"] for row in waiting.rows]
        assert ids == sorted(ids)
        assert len(ids) == 3
        assert await ledger.last_seal(db) is None
        await ledger.add_seal(db, 1, "{}", b"index", ids)
        await unsealed.sealed(db, waiting)
        waiting = await unsealed.waiting(db, 0, 3)
        (left,) = waiting.rows
        assert left["id"] not in ids
        await unsealed.sealed(db, waiting)
        assert not (await unsealed.waiting(db, 0, 3)).rows
        assert await ledger.last_seal(db) == (1, "{}")
        assert await ledger.seals_from(db, 1, 9) == [(1, "{}")]
        assert await ledger.seals_between(db, 0, 1) == [(1, "{}", b"index")]
        assert await ledger.index_sizes(db, 0, 9, 9) == [(1, 5)]


async def test_one_transaction_at_a_time_may_seal(database: Database) -> None:
    async with database.transaction() as one, database.transaction() as other:
        assert await ledger.may_seal(one)
        assert not await ledger.may_seal(other)
    async with database.transaction() as telling, database.transaction() as sealing:
        await ledger.wait_for_seal(telling)
        assert not await ledger.may_seal(sealing)
    async with database.transaction() as db:
        assert await ledger.may_seal(db)


@pytest.mark.parametrize(
    ("at", "microseconds"),
    [
        ("2026-01-31T12:00:00.000001Z", 1_769_860_800_000_001),
        ("1969-12-31T23:59:59.999999Z", -1),
        ("30000-01-01", 884_541_340_800_000_000),
        ("infinity", LAST),
        ("-infinity", FIRST + 1),
    ],
)
async def test_times_are_exact_microseconds(database: Database, at: str, microseconds: int) -> None:
    async with database.transaction() as db:
        await acts.record(db, [Act(USER, "ls")])
        await db.execute(UNGUARDED)
        await db.execute(f"update audit set at = '{at}'")
        assert [row["at"] for row in (await unsealed.waiting(db, 0, 9)).rows] == [microseconds]


async def test_a_filter_leaves_what_was_asked_for(database: Database) -> None:
    guid = UUID(int=5)
    async with database.transaction() as db:
        await acts.record(
            db, [Act(USER, "ls"), Act(USER, "rm", guid=guid), Act(Caller("user:b", frozenset()), "rm")]
        )
        past, future = datetime(2020, 1, 1, tzinfo=UTC), datetime(2999, 1, 1, tzinfo=UTC)
        for wanted, count in (
            (Filter(), 3),
            (Filter(act="rm"), 2),
            (Filter(act="rm", caller="user:b"), 1),
            (Filter(guid=guid), 1),
            (Filter(since=past, until=future), 3),
            (Filter(since=future), 0),
            (Filter(until=past), 0),
        ):
            assert len(await ledger.newest(db, wanted, 9)) == count
            assert len(await ledger.filtered_rows(db, wanted, FIRST, 9)) == count
        (last,) = await ledger.newest(db, Filter(), 1)
        assert last["caller"] == "user:b"


async def test_a_time_is_found_among_the_ids(database: Database) -> None:
    """Whatever gaps there are between them."""
    async with database.transaction() as db:
        await db.execute(
            "insert into audit (at, caller, act, outcome) select '2026-01-01'::timestamptz + i * interval '1 hour',"
            " 'user:a', i::text, 'success' from generate_series(0, 999) as i"
        )
        await db.execute(UNGUARDED)
        await db.execute("delete from audit where act::int % 7 = 3 or act::int between 400 and 480")
        every = [i for i in range(1000) if i % 7 != 3 and not 400 <= i <= 480]
        start = datetime(2026, 1, 1, tzinfo=UTC)
        for since, until in ((0, 1000), (17, 18), (390, 500), (399, 401), (410, 470), (999, 2000), (-50, 0)):
            wanted = Filter(since=start + timedelta(hours=since), until=start + timedelta(hours=until))
            expected = [i for i in every if since <= i < until]
            assert [int(row["act"]) for row in await ledger.newest(db, wanted, 5000)] == expected
            assert [
                int(row["act"]) for row in await ledger.filtered_rows(db, wanted, FIRST, 5000)
            ] == expected
