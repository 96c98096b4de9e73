"""Requests cancelled at any of their awaits: every connection to the database comes back in order."""

import asyncio
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mdm_async.postgres.database import Connection, Database
from tests.faults.conditions import until
from tests.patience import PATIENT_DATABASE
from tests.postgres.for_tests import PostgresForTests

WAYS = 4


@pytest.fixture
async def database(postgres: PostgresForTests) -> AsyncIterator[Database]:
    async with Database.connect(await postgres.fresh_database(), pool_size=6, **PATIENT_DATABASE) as made:
        async with made.acquire() as db:
            await db.execute("create table t (x int)")
        yield made


async def _work(database: Database, way: int) -> None:
    if way == 0:
        async with database.acquire() as db:
            await db.fetchval("select 1")
    elif way == 1:
        async with database.transaction() as db:
            await _statements(db)
    elif way == 2:
        async with database.transaction(sync=False) as db:
            await _statements(db)
    else:
        async with database.transaction(sync=False) as db:
            await db.execute("select pg_sleep(0.01)")


async def _statements(db: Connection) -> None:
    await db.execute("insert into t values (1)")
    await db.execute("delete from t")


async def test_connections_come_back_in_order(database: Database) -> None:
    chance = random.Random(4)
    unhandled: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    try:
        for _ in range(60):
            tasks = [asyncio.create_task(_work(database, chance.randrange(WAYS))) for _ in range(20)]
            for task in tasks:
                if chance.random() < 0.4:
                    await asyncio.sleep(chance.uniform(0, 0.003))  # the moment is the test
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(result is None or isinstance(result, asyncio.CancelledError) for result in results), (
                results
            )
            await until(lambda: database._pool.get_idle_size() == database._pool.get_size())
    finally:
        loop.set_exception_handler(None)
    assert unhandled == []
    async with database.acquire() as db:
        assert await db.fetchval("select count(*) from t") == 0
