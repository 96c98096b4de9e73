"""What Postgres says, over a real one: busy, full, read-only and away are told apart."""

from collections.abc import AsyncIterator
from dataclasses import replace

import asyncpg
import pytest

from mdm_async.errors import DatabaseBusy, DatabaseFull, DatabaseReadOnly, MdmError, Unavailable
from mdm_async.postgres import sqlstates
from mdm_async.postgres.database import Database, connect
from tests.patience import PATIENT_DATABASE, TIMEOUTS
from tests.postgres.for_tests import PostgresForTests


@pytest.fixture
async def dsn(postgres: PostgresForTests) -> str:
    return await postgres.fresh_database()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    async with Database.connect(dsn, pool_size=2, **PATIENT_DATABASE) as opened:
        yield opened


async def test_a_statement_that_takes_too_long_says_that_postgres_is_busy(dsn: str) -> None:
    async with Database.connect(dsn, timeouts=replace(TIMEOUTS, statement=0.5)) as database:
        with pytest.raises(DatabaseBusy, match="a statement took too long"):
            async with database.acquire() as db:
                await db.execute("select pg_sleep(60)")


async def test_a_lock_that_another_holds_says_that_postgres_is_busy(dsn: str) -> None:
    async with Database.connect(dsn, timeouts=replace(TIMEOUTS, lock=0.1)) as database, connect(dsn) as other:
        await other.execute("create table t ()")
        async with other.transaction():
            await other.execute("lock table t")
            with pytest.raises(DatabaseBusy, match="another transaction holds"):
                async with database.acquire() as db:
                    await db.execute("select from t")


async def test_a_transaction_that_stands_still_is_ended_and_its_lock_with_it(dsn: str) -> None:
    async with Database.connect(dsn, timeouts=replace(TIMEOUTS, idle=0.2)) as database, connect(dsn) as other:
        await other.execute("create table t ()")

        async def stand_still() -> None:
            async with database.transaction() as db:
                await db.execute("lock table t")
                await other.execute("select from t")  # Waits until Postgres has ended that transaction.
                await db.execute("select 1")

        with pytest.raises(Unavailable):
            await stand_still()
        async with database.acquire() as db:
            assert await db.fetchval("select 1") == 1


async def test_a_change_where_none_is_taken_says_so_and_the_connection_is_dropped(database: Database) -> None:
    async def pid() -> int:
        async with database.acquire() as db:
            return int(await db.fetchval("select pg_backend_pid()"))

    before = await pid()
    with pytest.raises(DatabaseReadOnly):
        async with database.acquire() as db, db.transaction(readonly=True):
            await db.execute("create table t ()")
    assert await pid() != before


async def test_a_database_that_takes_no_changes_is_not_writable(database: Database, dsn: str) -> None:
    await database.demand_writable()
    async with connect(dsn) as other:
        name = await other.fetchval("select current_database()")
        await other.execute(f'alter database "{name}" set default_transaction_read_only = on')
    await database.drop_connections()
    with pytest.raises(DatabaseReadOnly):
        await database.demand_writable()


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (asyncpg.DiskFullError, DatabaseFull),
        (asyncpg.TooManyConnectionsError, DatabaseBusy),
        (asyncpg.OutOfMemoryError, DatabaseBusy),
        (asyncpg.DeadlockDetectedError, DatabaseBusy),
        (asyncpg.SerializationError, DatabaseBusy),
        (asyncpg.InvalidCachedStatementError, DatabaseBusy),
        (asyncpg.ReadOnlySQLTransactionError, DatabaseReadOnly),
        (asyncpg.AdminShutdownError, Unavailable),
        (asyncpg.CrashShutdownError, Unavailable),
        (asyncpg.CannotConnectNowError, Unavailable),
        (asyncpg.ConnectionDoesNotExistError, Unavailable),
        (asyncpg.ConnectionFailureError, Unavailable),
    ],
)
def test_each_class_has_its_meaning(raised: type[asyncpg.PostgresError], told: type[MdmError]) -> None:
    assert type(sqlstates.meaning(raised("x"))) is told


@pytest.mark.parametrize("raised", [asyncpg.UniqueViolationError, asyncpg.UndefinedTableError])
def test_a_mistake_is_none_of_them(raised: type[asyncpg.PostgresError]) -> None:
    assert sqlstates.meaning(raised("x")) is None


async def test_a_server_that_lets_nobody_in_is_unavailable_while_one_connects(dsn: str) -> None:
    with pytest.raises(Unavailable, match="lets nobody in"):
        async with Database.connect(dsn.replace("mdm_test_", "mdm_none_")):
            pytest.fail("connected to no database")
