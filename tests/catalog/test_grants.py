"""Grants: their partitions come and go by the day, their life is the database's."""

import asyncio
from dataclasses import replace
from datetime import date, timedelta
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from mdm_async.catalog.grants import grants, partitions, requests
from mdm_async.catalog.grants.grants import Grant
from mdm_async.images.upkeep.days import keep_days
from mdm_async.names import Caller
from mdm_async.postgres.database import Connection, Database
from tests.faults.conditions import until
from tests.patience import PATIENCE


def _grant(**fields: object) -> Grant:
    made = Grant(
        turl=uuid4().bytes,
        request=uuid4(),
        item=0,
        operation="put",
        state="open",
        caller="user:a",
        owner="user:a",
        surl="/a",
        life=60.0,
    )
    return replace(made, **fields)


async def _plant(db: Connection, day: str) -> None:
    name = f"grants_{day.replace('-', '')}"
    await db.execute(
        f"create table {name} partition of grants for values from ('{day}') to (date '{day}' + 1)"
    )


async def _days(database: Database) -> set[date]:
    async with database.acquire() as db:
        return (await partitions.days(db))[1]


OLD = date(2020, 1, 1)


async def test_more_than_a_week_ahead_has_partitions(database: Database) -> None:
    await keep_days(database)
    await keep_days(database)
    async with database.acquire() as db:
        today, there = await partitions.days(db)
    assert there == {today + timedelta(days) for days in range(11)}


async def test_a_day_is_kept_until_the_last_of_its_uploads_has_ended(database: Database) -> None:
    async with database.transaction() as db:
        await _plant(db, "2020-01-01")
        await _plant(db, "2020-01-02")
        await grants.insert(db, [_grant(life=-2 * 86400.0)])
        await db.execute("update grants set day = '2020-01-02'")
        await db.execute("update uploads_to_end set day = '2020-01-02'")
    await keep_days(database)
    assert OLD not in await _days(database)
    assert OLD + timedelta(1) in await _days(database)
    async with database.transaction() as db:
        assert await grants.expire_uploads(db, 10) == (1, [])
    await keep_days(database)
    assert OLD + timedelta(1) not in await _days(database)


async def test_a_pin_that_was_extended_past_its_day_lives_as_long_as_it_was_told(database: Database) -> None:
    held = _grant(operation="get", state="pinned")
    async with database.transaction() as db:
        await _plant(db, "2020-01-01")
        await grants.insert(db, [held])
        await db.execute("update grants set day = '2020-01-01'")
        caller = Caller("user:a", frozenset({"user:a"}))
        await requests.extend(db, caller, held.request, None, 60)
    await keep_days(database)
    async with database.acquire() as db:
        found = await grants.by_turl(db, held.turl)
        assert found is not None
        assert found.grant.life > 0
        # Its time is over; the day that it kept goes, and no later than two days after.
        await db.execute("update days_kept set until = current_date")
    await keep_days(database)
    assert OLD not in await _days(database)


async def test_a_held_lock_keeps_no_day_from_being_made_and_is_waited_for_shortly(database: Database) -> None:
    async with database.transaction() as db:
        await _plant(db, "2020-01-01")
        last = max((await partitions.days(db))[1])
        await db.execute(f"drop table grants_{last:%Y%m%d}")
    async with database.transaction() as reader:
        await reader.fetch("select from grants")  # and whoever reads goes on reading
        async with asyncio.timeout(PATIENCE):
            await keep_days(database)
        assert last in await _days(database)
        assert OLD in await _days(database)
    await keep_days(database)
    assert OLD not in await _days(database)


async def test_a_life_that_is_given_while_a_day_is_dropped_keeps_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "_PATIENCE", "300s")
    held = _grant(operation="get", state="pinned")
    async with database.transaction() as db:
        await _plant(db, "2020-01-01")
        await grants.insert(db, [held])
        await db.execute("update grants set day = '2020-01-01', expires = '2020-01-02'")
        await db.execute("delete from days_kept")
    async with database.acquire() as db:
        giving = db.transaction()
        await giving.start()
        await db.execute("update grants set expires = now() + interval '1 hour'")
        dropping = asyncio.create_task(partitions.drop(database, OLD))

        async def waits() -> bool:
            return bool(await db.fetchval("select exists (select from pg_locks where not granted)"))

        await until(waits)
        await giving.commit()
    assert not await dropping
    assert OLD in await _days(database)


async def test_days_that_cannot_be_made_are_told_before_they_come(database: Database) -> None:
    async with database.transaction() as db:
        today, there = await partitions.days(db)
        for day in there:
            if day > today:
                await db.execute(f"drop table grants_{day:%Y%m%d}")
    async with database.transaction() as other:
        await other.execute("lock table grants in share update exclusive mode")
        with capture_logs() as told:
            async with asyncio.timeout(PATIENCE):
                await keep_days(database)
    assert [line["log_level"] for line in told if "no partition" in line["event"]] == ["error"]


async def test_what_is_stored_comes_back(database: Database) -> None:
    async with database.transaction() as db:
        made = _grant(
            secret=b"s",
            parent=3,
            name="n",
            expected_size=1 << 40,
            announced=b"a",
            description="d",
            replaces=uuid4(),
        )
        await grants.insert(db, [made, _grant()])
        found = await grants.by_turl(db, made.turl)
        assert found is not None
        assert replace(found[0], life=made.life) == made
        assert 0 < found[0].life <= made.life
        assert found[1]


async def test_an_item_is_settled_once(database: Database) -> None:
    async with database.transaction() as db:
        made = _grant()
        await grants.insert(db, [made])
        assert await grants.settle(db, made, "uploaded", "open", image=uuid4())
        assert not await grants.settle(db, made, "uploaded", "open", image=uuid4())


async def test_an_upload_that_waited_too_long_for_put_done_is_not_published(database: Database) -> None:
    async with database.transaction() as db:
        made = _grant(life=-1.0, state="uploaded")
        await grants.insert(db, [made])
        assert not await grants.settle(db, made, "done", "uploaded")
        assert (await grants.liveness(db, [made.turl]))[made.turl].life < 0
