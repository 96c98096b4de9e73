"""The pool and the migrations, over a real Postgres that goes away, refuses, and comes back."""

# ruff: noqa: ASYNC110, PT012 - this loop may wait; what raises is the end of a block

import asyncio
import importlib
import os
import secrets
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg
import pytest

from mdm_async.errors import NotFound, Unavailable, UnsafeSettings
from mdm_async.postgres.database import Database, Timeouts, connect, migrate
from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres
from mdm_async.postgres.migrate import schema
from mdm_async.postgres.turns import on_behalf
from tests.patience import PATIENCE, PATIENT_DATABASE
from tests.postgres.for_tests import PostgresForTests, postgres_folder, postgres_for_tests


@pytest.fixture(scope="module")
async def server() -> AsyncIterator[PostgresForTests]:
    async with postgres_for_tests() as running:
        yield running


@pytest.fixture
async def dsn(server: PostgresForTests) -> str:
    return await server.fresh_database()


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    async with Database.connect(dsn, pool_size=2, **PATIENT_DATABASE) as opened:
        yield opened


# --- the pool ---


async def test_json_goes_in_and_out_as_python_objects(database: Database) -> None:
    value = {"Modality": "CT", "frames": [1, 2.5, None, True], "ü": "β"}
    async with database.acquire() as connection:
        assert await connection.fetchval("select $1::jsonb", value) == value
        assert await connection.fetchval("select $1::json", value) == value
        assert await connection.fetchval("select $1::jsonb ->> 'Modality'", value) == "CT"


@pytest.mark.parametrize("sync", [True, False])
async def test_a_transaction_commits_or_rolls_back_as_a_whole(database: Database, sync: bool) -> None:
    async with database.transaction(sync=sync) as connection:
        await connection.execute("create table t (x int primary key)")
        await connection.execute("insert into t values (1)")
    with pytest.raises(KeyError):
        async with database.transaction(sync=sync) as connection:
            await connection.execute("insert into t values (2)")
            raise KeyError
    with pytest.raises(asyncpg.UniqueViolationError):
        async with database.transaction(sync=sync) as connection:
            await connection.execute("insert into t values (3)")
            await connection.execute("insert into t values (1)")
    async with database.acquire() as connection:
        assert await connection.fetchval("select array_agg(x) from t") == [1]


async def test_only_a_transaction_that_asks_for_it_skips_the_disk(dsn: str) -> None:
    async with Database.connect(dsn, pool_size=1, **PATIENT_DATABASE) as database:
        for sync, setting in ((True, "on"), (False, "off"), (True, "on")):
            async with database.transaction(sync=sync) as connection:
                assert await connection.fetchval("show synchronous_commit") == setting
        async with database.acquire() as connection:
            assert await connection.fetchval("show synchronous_commit") == "on"


@pytest.mark.parametrize("sync", [True, False])
async def test_a_cancelled_transaction_is_rolled_back_and_its_connection_used_again(
    dsn: str, sync: bool
) -> None:
    async with Database.connect(dsn, pool_size=1, **PATIENT_DATABASE) as database:
        async with database.acquire() as connection:
            await connection.execute("create table t (x int)")

        async def slow() -> None:
            async with database.transaction(sync=sync) as connection:
                await connection.execute("insert into t values (1)")
                await connection.execute("select pg_sleep(60)")

        task = asyncio.ensure_future(slow())
        async with connect(dsn) as other:
            # Postgres ignores a cancellation that overtakes its statement.
            while not await other.fetchval("select 1 from pg_stat_activity where wait_event = 'PgSleep'"):
                await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with database.acquire() as connection:
            assert await connection.fetchval("select count(*) from t") == 0


async def test_a_connection_cut_in_the_middle_is_unavailable_and_replaced(database: Database) -> None:
    async with database.acquire() as killer:
        with pytest.raises(Unavailable) as caught:
            async with database.transaction() as connection:
                pid = await connection.fetchval("select pg_backend_pid()")
                await killer.execute("select pg_terminate_backend($1)", pid)
                await connection.fetchval("select 1 from pg_sleep(600)")
        assert caught.value.retry_after
    async with database.acquire() as connection:
        assert await connection.fetchval("select 1") == 1


@asynccontextmanager
async def end_held_back(dsn: str, directory: Path) -> AsyncIterator[str]:
    """A way to the server of `dsn` that passes on what Postgres says, but not that it has hung up."""
    parts = urlsplit(dsn)
    socket = f"{dict(parse_qsl(parts.query))['host']}/.s.PGSQL.5432"

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_unix_connection(socket)
        answers = asyncio.ensure_future(copy(server_reader, writer))
        await copy(reader, server_writer)
        server_writer.close()
        await answers
        writer.close()

    async with await asyncio.start_unix_server(serve, directory / ".s.PGSQL.5432"):
        yield urlunsplit(parts._replace(query=urlencode({"host": str(directory)})))


@pytest.mark.skipif(
    "MDM_TEST_DSN" in os.environ, reason="the Postgres of MDM_TEST_DSN may have no socket to stand before"
)
async def test_a_connection_that_postgres_is_about_to_end_is_unavailable_and_replaced(dsn: str) -> None:
    with postgres_folder() as directory:
        async with (
            end_held_back(dsn, directory) as way,
            Database.connect(way, pool_size=1, **PATIENT_DATABASE) as database,
        ):
            async with database.acquire() as connection, connect(dsn) as killer:
                pid = await connection.fetchval("select pg_backend_pid()")
                await killer.execute("select pg_terminate_backend($1, 5000)", pid)
            with pytest.raises(Unavailable):
                async with asyncio.timeout(PATIENCE):
                    while True:
                        async with database.acquire() as connection:
                            await connection.fetchval("select 1")
            async with database.acquire() as connection:
                assert await connection.fetchval("select pg_backend_pid()") != pid


async def test_waiting_too_long_for_a_connection_is_unavailable(dsn: str) -> None:
    async with Database.connect(dsn, pool_size=1, acquire_timeout=0.5) as database, database.acquire():
        with pytest.raises(Unavailable):
            async with database.acquire():
                pytest.fail("there was a second connection")


async def test_a_statement_that_takes_too_long_is_unavailable(dsn: str) -> None:
    async with Database.connect(dsn, timeouts=Timeouts(statement=0.1)) as database:
        with pytest.raises(Unavailable):
            async with database.acquire() as connection:
                await connection.execute("select pg_sleep(60)")


async def test_a_statement_outdated_by_a_migration_is_unavailable_once(dsn: str) -> None:
    async with Database.connect(dsn, pool_size=1, **PATIENT_DATABASE) as database, connect(dsn) as other:
        await other.execute("create table t (x int)")
        async with database.transaction() as connection:
            await connection.fetch("select * from t")
        await other.execute("alter table t add y int")
        with pytest.raises(Unavailable):
            async with database.transaction() as connection:
                await connection.fetch("select * from t")
        async with database.transaction() as connection:
            await connection.fetch("select * from t")


async def test_what_the_caller_does_wrong_stays_what_it_is(database: Database, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        async with database.transaction():
            (tmp_path / "absent").read_bytes()
    with pytest.raises(asyncpg.UndefinedTableError):
        async with database.acquire() as connection:
            await connection.execute("select * from absent")


async def test_what_was_found_missing_stays_so_though_the_connection_is_lost_meanwhile(
    database: Database,
) -> None:
    with pytest.raises(NotFound):
        async with database.acquire() as connection:
            connection.terminate()
            raise NotFound  # an OSError too, and not one of the connection's


async def test_a_server_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        async with Database.connect(f"postgresql://mdm@/mdm?host={tmp_path}"):
            pytest.fail("connected to nothing")


async def test_the_pool_survives_a_restart_of_postgres() -> None:
    with postgres_folder() as directory:
        async with (
            EmbeddedPostgres(directory) as pg,
            Database.connect(pg.dsn, pool_size=4, **PATIENT_DATABASE) as database,
        ):
            async with database.acquire() as one, database.acquire() as two:
                assert await one.fetchval("select 1") + await two.fetchval("select 1") == 2
            assert pg.pid is not None
            os.kill(pg.pid, signal.SIGKILL)
            with pytest.raises(Unavailable):
                async with asyncio.timeout(PATIENCE):
                    while True:
                        async with database.acquire() as connection:
                            await connection.fetchval("select 1")
            supervisor = asyncio.ensure_future(pg.supervise())
            async with asyncio.timeout(PATIENCE):
                while True:
                    with suppress(Unavailable):
                        async with database.acquire() as connection:
                            assert await connection.fetchval("select 1") == 1
                        break
                    await asyncio.sleep(0.01)
            supervisor.cancel()
            with pytest.raises(asyncio.CancelledError):
                await supervisor


# --- migrations ---

Package = Callable[..., str]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Package:
    """Makes a package of migrations, or rewrites the one made before."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"room_{secrets.token_hex(4)}"

    def make(**migrations: str) -> str:
        folder = tmp_path / name / "migrations"
        folder.mkdir(parents=True, exist_ok=True)
        (tmp_path / name / "__init__.py").touch()
        for old in folder.glob("*.sql"):
            old.unlink()
        for title, sql in migrations.items():
            (folder / f"{title.removeprefix('m')}.sql").write_text(sql)
        importlib.invalidate_caches()
        return name

    return make


FIRST = {"m0001_base": "create table t (x int); insert into t values (1);"}
SECOND = FIRST | {"m0002_more": "-- needs the first\nalter table t add y int; update t set y = x + 1;"}


async def test_migrations_are_applied_once_and_in_order(dsn: str, package: Package) -> None:
    async with connect(dsn) as connection:
        assert await migrate(connection, package(**FIRST)) == 1
        assert await migrate(connection, package(**SECOND)) == 1
        assert await migrate(connection, package(**SECOND)) == 0
        assert await connection.fetchval("select y from t") == 2
        rows = await connection.fetch("select number, name from schema_migrations order by number")
        assert [tuple(row) for row in rows] == [(1, "base"), (2, "more")]


async def test_two_rooms_share_a_database(dsn: str, package: Package, tmp_path: Path) -> None:
    async with connect(dsn) as connection:
        assert await migrate(connection, package(**FIRST)) == 1
        other = tmp_path / f"other_{secrets.token_hex(4)}"
        (other / "migrations").mkdir(parents=True)
        (other / "__init__.py").touch()
        (other / "migrations" / "0001_base.sql").write_text("create table u ()")
        importlib.invalidate_caches()
        assert await migrate(connection, other.name) == 1


async def test_a_role_called_as_a_schema_that_migrations_make_finds_what_was_applied(
    dsn: str, package: Package
) -> None:
    """As docs/keys.md names it: its search path begins with that schema, once it is there."""
    name = package(m0001_base="create schema mdm_keys; create table mdm_keys.t ()")
    async with connect(dsn) as connection:
        await connection.execute("set search_path = mdm_keys, public")
        assert [await migrate(connection, name), await migrate(connection, name)] == [1, 0]
        assert await schema(connection) == {name: 1}


async def test_nodes_that_start_at_once_take_turns(dsn: str, package: Package) -> None:
    slow = {"m0001_base": "create table t (x int); select pg_sleep(0.2);"}
    name = package(**slow)

    async def node() -> int:
        async with connect(dsn) as connection:
            return await migrate(connection, name)

    assert sorted(await asyncio.gather(*(node() for _ in range(4)))) == [0, 0, 0, 1]


async def test_a_migration_that_fails_leaves_nothing_and_those_before_it_stay(
    dsn: str, package: Package
) -> None:
    broken = FIRST | {"m0002_more": "create table u (); select 1 / 0;"}
    async with connect(dsn) as connection:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrate(connection, package(**broken))
        assert await connection.fetchval("select to_regclass('u')") is None
        assert await migrate(connection, package(**SECOND)) == 1


async def test_a_newer_schema_is_refused(dsn: str, package: Package) -> None:
    async with connect(dsn) as connection:
        await migrate(connection, package(**SECOND))
        with pytest.raises(UnsafeSettings, match=r"is at 2, .* knows only up to 1; upgrade mdm"):
            await migrate(connection, package(**FIRST))


async def test_an_applied_migration_that_was_edited_is_refused(dsn: str, package: Package) -> None:
    async with connect(dsn) as connection:
        await migrate(connection, package(**FIRST))
        edited = {"m0001_base": "create table t (x bigint);"}
        with pytest.raises(UnsafeSettings, match=r"migration 1 \(base\) .* is not the one that was applied"):
            await migrate(connection, package(**edited))


async def test_a_gap_in_what_was_applied_is_refused(dsn: str, package: Package) -> None:
    async with connect(dsn) as connection:
        name = package(**SECOND)
        await migrate(connection, name)
        await connection.execute("delete from schema_migrations where number = 1")
        with pytest.raises(UnsafeSettings, match=r"migration 1 .* is missing"):
            await migrate(connection, name)


async def test_a_gap_in_the_files_is_a_mistake_of_ours(dsn: str, package: Package) -> None:
    async with connect(dsn) as connection:
        with pytest.raises(ValueError, match="do not count"):
            await migrate(connection, package(m0001_base="select 1", m0003_more="select 1"))


# --- databases for tests ---


async def test_a_fresh_database_may_be_a_copy(server: PostgresForTests, dsn: str) -> None:
    async with connect(dsn) as connection:
        await connection.execute("create table kept as select 42 as x")
    async with connect(await server.fresh_database(dsn)) as connection:
        assert await connection.fetchval("select x from kept") == 42


async def test_however_many_ask_whether_it_takes_changes_none_keeps_the_servers_own_work_out(
    dsn: str,
) -> None:
    """Before: 1,024 anonymous requests for /health/ready filled the lane of control, whose watches died of that."""

    async def ask(address: int) -> None:
        on_behalf.set(f"source {address}")
        await database.demand_writable()

    async with Database.connect(dsn, pool_size=1, waiting=8) as database, asyncio.TaskGroup() as group:
        for count in range(2000):
            group.create_task(ask(count % 16))
        async with database.acquire() as connection:
            assert await connection.fetchval("select 1") == 1


async def test_a_role_that_may_make_no_temporary_table_learns_of_room_by_its_next_change(dsn: str) -> None:
    """The watch of the disks would die of it, and with it the node, as soon as Postgres's disk has been full once."""
    async with connect(dsn) as connection:
        await connection.execute(
            f"revoke temp on database {urlsplit(dsn).path[1:]} from public, current_user"
        )
    async with Database.connect(dsn, pool_size=1, **PATIENT_DATABASE) as database:
        async with database.acquire() as db:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await db.execute("create temp table t ()")
        await database.demand_room()
