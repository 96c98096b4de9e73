"""A node's turn at a queue: rows are kept while they are worked on, settled one by one, and given back at the end."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest
from structlog.testing import capture_logs

from mdm_async.catalog.work import views_to_make
from mdm_async.catalog.work.queue import Row
from mdm_async.catalog.work.views_to_make import VIEWS_TO_MAKE
from mdm_async.errors import Unavailable
from mdm_async.images import shift
from mdm_async.images.shift import Shift
from mdm_async.postgres.database import Database
from tests.faults.conditions import until
from tests.patience import PATIENT_DATABASE
from tests.postgres.for_tests import PostgresForTests


@pytest.fixture
async def database(postgres: PostgresForTests, migrated: str) -> AsyncIterator[Database]:
    """Of nobody else: no server takes its rows."""
    async with Database.connect(
        await postgres.fresh_database(migrated), pool_size=4, **PATIENT_DATABASE
    ) as opened:
        async with opened.acquire() as db:
            for _ in range(3):
                await views_to_make.add(db, [(uuid4(), "basic")])
        yield opened


async def waiting(database: Database) -> dict[UUID, str | None]:
    """The images whose rows may be taken at once, and why each failed."""
    async with database.acquire() as db:
        rows = await db.fetch(
            "select image, failure from views_to_make where due <= now() and taken_by is null"
        )
    return {row["image"]: row["failure"] for row in rows}


async def test_leases_are_renewed_while_their_holder_lives(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shift, "LEASE", 0.1)
    async with Shift(database, VIEWS_TO_MAKE, "a", 10) as held, database.acquire() as db:
        assert len(await held.page()) == 3
        first = await db.fetchval("select max(due) from views_to_make")

        async def all_are_renewed() -> bool:
            return bool(await db.fetchval("select min(due) > $1 from views_to_make", first))

        await until(all_are_renewed)


async def test_what_is_not_settled_when_a_node_is_stopped_is_given_back(database: Database) -> None:
    taken = asyncio.Event()

    async def work() -> None:
        async with Shift(database, VIEWS_TO_MAKE, "a", 10) as held:
            done, *_ = await held.page()
            await held.done([done])
            taken.set()
            await asyncio.Event().wait()

    working = asyncio.ensure_future(work())
    await taken.wait()
    assert await waiting(database) == {}
    working.cancel()
    await asyncio.wait([working])
    assert len(await waiting(database)) == 2


async def test_one_row_that_raises_keeps_no_other_of_its_page(database: Database) -> None:
    settled = []
    async with Shift(database, VIEWS_TO_MAKE, "a", 10) as held:

        async def work(rows: list[Row]) -> None:
            if bad in [row.key[0] for row in rows]:
                raise ZeroDivisionError
            await held.done(rows)
            settled.extend(rows)

        bad = next(iter(await waiting(database)))
        await held.pages(work)
    assert len(settled) == 2
    async with database.acquire() as db:
        rows = await db.fetch("select image, failure, taken_by from views_to_make")
    assert [tuple(row.values()) for row in rows] == [(bad, "ZeroDivisionError", None)]


async def test_what_a_whole_page_lacks_is_not_tried_for_each_of_its_rows(database: Database) -> None:
    tries = 0

    async def work(rows: list[Row]) -> None:
        nonlocal tries
        tries += 1
        raise Unavailable("another store is away")

    async with Shift(database, VIEWS_TO_MAKE, "a", 10) as held:
        await held.pages(work)
    assert tries == 1
    async with database.acquire() as db:
        assert (await VIEWS_TO_MAKE.standing(db)).failed == 3


async def test_what_goes_on_failing_is_said_once_until_its_reason_changes() -> None:
    reasons = [Unavailable("away")] * 50 + [Unavailable("read-only")] * 50 + [None] + [ValueError("secret")]

    async def job() -> None:
        if not reasons:
            raise asyncio.CancelledError
        if (why := reasons.pop(0)) is not None:
            raise why

    with capture_logs() as told, pytest.raises(asyncio.CancelledError):
        await shift.over_and_over("sweeping", job, 0)
    assert [line["reason"] for line in told] == ["away", "read-only", "ValueError"]
