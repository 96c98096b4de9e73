"""The embedded Postgres, over a real one: whoever is killed, and however, it comes back with its data."""

# ruff: noqa: ASYNC110 - this loop may wait
import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from mdm_async.errors import Unavailable
from mdm_async.postgres.directory_lock import DirectoryLock
from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres
from tests.postgres.owners import as_root, connected, gone, owner, postgres_uid


async def killed_with_its_owner(directory: Path) -> int:
    """Start a server with one committed row, then SIGKILL its owner and its postmaster; the latter's pid."""
    with owner(directory) as (process, postmaster, _):
        async with connected(dsn_of(directory)) as connection:
            await connection.execute("create table kept (x int); insert into kept values (42)")
        process.kill()
    os.kill(postmaster, signal.SIGKILL)
    await gone(postmaster)
    return postmaster


def dsn_of(directory: Path) -> str:
    return f"postgresql://mdm@/mdm?host={directory}/postgres.socket&port=5432"


@contextmanager
def stranger() -> Iterator[psutil.Popen]:
    """An unrelated process of the very user that runs Postgres: the only kind that Postgres itself mistakes."""
    who = {"user": postgres_uid(), "group": postgres_uid(), "extra_groups": []} if os.geteuid() == 0 else {}
    with psutil.Popen(["sleep", "600"], **who) as process:
        try:
            yield process
        finally:
            assert process.status() != psutil.STATUS_ZOMBIE, "the stranger was killed"
            process.kill()


async def test_the_first_start_makes_a_database_and_the_second_finds_its_rows(directory: Path) -> None:
    async with EmbeddedPostgres(directory) as pg, connected(pg.dsn) as connection:
        await connection.execute("create table kept (x int); insert into kept values (42)")
        shown = {
            name: await connection.fetchval(f"show {name}")
            for name in ("server_encoding", "data_checksums", "listen_addresses", "timezone", "fsync")
        }
        assert shown == {
            "server_encoding": "UTF8",
            "data_checksums": "on",
            "listen_addresses": "",
            "timezone": "UTC",
            "fsync": "on",
        }
        assert await connection.fetchval("select current_user::text") == "mdm"
        assert not await connection.fetchval("select rolsuper from pg_roles where rolname = 'mdm'")
        pid = pg.pid
    assert pid is not None
    assert not psutil.pid_exists(pid)
    async with EmbeddedPostgres(directory) as pg, connected(pg.dsn) as connection:
        assert await connection.fetchval("select x from kept") == 42


async def test_a_second_server_on_the_directory_is_refused_and_told_who_holds_it(directory: Path) -> None:
    with owner(directory) as (process, _, _):
        with pytest.raises(Unavailable, match=rf"in use by another mdm server, process {process.pid}"):
            await EmbeddedPostgres(directory).__aenter__()
        process.stdin.close()
        process.wait()
    async with EmbeddedPostgres(directory):
        pass


async def test_the_lock_may_be_the_callers(directory: Path) -> None:
    with DirectoryLock(directory) as lock:
        async with EmbeddedPostgres(directory, lock=lock) as pg:
            assert lock.held
            open_files = [os.readlink(link) for link in Path(f"/proc/{pg.pid}/fd").iterdir()]
            assert str(lock.path) not in open_files
        assert lock.held


async def test_postgres_is_in_a_session_of_its_own(directory: Path) -> None:
    async with EmbeddedPostgres(directory) as pg:
        assert pg.pid is not None
        assert os.getsid(pg.pid) == pg.pid


async def test_after_kill_9_of_its_owner_a_running_postgres_is_adopted(directory: Path) -> None:
    with owner(directory) as (process, postmaster, _):
        process.kill()
    async with EmbeddedPostgres(directory) as pg, connected(pg.dsn):
        assert pg.pid == postmaster
    await gone(postmaster)


@as_root
async def test_it_is_adopted_by_root_without_leave_to_look_into_processes(directory: Path) -> None:
    """As in a container, where root lacks CAP_SYS_PTRACE and cannot see what another user's process runs."""
    with owner(directory) as (process, postmaster, _):
        process.kill()
    with owner(directory, prefix=("setpriv", "--bounding-set=-sys_ptrace")) as (process, adopted, _):
        assert adopted == postmaster
        process.stdin.close()
        process.wait()
    await gone(postmaster)


async def test_after_kill_9_of_owner_and_postmaster_it_starts_again_with_its_rows(directory: Path) -> None:
    killed = await killed_with_its_owner(directory)
    async with EmbeddedPostgres(directory) as pg, connected(pg.dsn) as connection:
        assert pg.pid != killed
        assert await connection.fetchval("select x from kept") == 42


async def test_a_backend_that_outlives_its_postmaster_is_ended(directory: Path) -> None:
    with owner(directory) as (process, postmaster, _):
        connection = await asyncpg.connect(dsn_of(directory))
        backend = connection.get_server_pid()
        # Long work that never looks whether the postmaster lives.
        endless = asyncio.ensure_future(connection.execute("do $$begin loop end loop; end$$"))
        async with connected(dsn_of(directory)) as other:
            while (
                await other.fetchval("select state from pg_stat_activity where pid = $1", backend) != "active"
            ):
                await asyncio.sleep(0.01)
        process.kill()
        os.kill(postmaster, signal.SIGKILL)
        await gone(postmaster)
    orphan = psutil.Process(backend)
    try:
        async with EmbeddedPostgres(directory) as pg, connected(pg.dsn):
            assert not orphan.is_running() or orphan.status() == psutil.STATUS_ZOMBIE
    finally:
        with suppress(psutil.NoSuchProcess):
            orphan.kill()
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await endless
    connection.terminate()


async def test_a_stranger_with_the_postmasters_pid_is_left_alone(directory: Path) -> None:
    await killed_with_its_owner(directory)
    pid_file = directory / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    socket_lock = directory / "postgres.socket" / ".s.PGSQL.5432.lock"
    with stranger() as process:
        for path in (pid_file, socket_lock):
            path.write_text("\n".join([str(process.pid), *lines[1:], ""]))
            os.chown(path, postgres_uid(), -1)
        async with EmbeddedPostgres(directory) as pg, connected(pg.dsn) as connection:
            assert pg.pid != process.pid
            assert await connection.fetchval("select x from kept") == 42
        assert process.is_running()


async def test_the_postmaster_of_another_directory_is_not_taken(directory: Path) -> None:
    async with EmbeddedPostgres(directory.with_name("other")) as other:
        await killed_with_its_owner(directory)
        pid_file = directory / "postgres" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
        pid_file.write_text("\n".join([str(other.pid), *lines[1:], ""]))
        async with EmbeddedPostgres(directory) as pg, connected(pg.dsn) as connection:
            assert pg.pid != other.pid
            assert await connection.fetchval("select x from kept") == 42
        async with connected(other.dsn) as connection:
            assert await connection.fetchval("select 1") == 1
