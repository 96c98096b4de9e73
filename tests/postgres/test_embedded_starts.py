"""Starts of an embedded Postgres that fail, are slow, are cancelled, or find something odd."""

# ruff: noqa: ASYNC110 - this loop may wait
import asyncio
import os
import signal
import stat
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from mdm_async.errors import Unavailable, UnsafeSettings
from mdm_async.postgres.embedded import lifecycle
from mdm_async.postgres.embedded.binaries import PostgresBinaries, installed_binaries
from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres
from tests.patience import PATIENCE
from tests.postgres.owners import connected, postgres_uid


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
    monkeypatch.setattr(lifecycle, "QUIET_LIMIT", 5.0)
    recovering = "for step in 1 2 3 4 5 6 7 8 9; do echo redo $step; sleep 0.7; done; exit 3"
    binaries = await slow_binaries(directory, recovering)
    with pytest.raises(Unavailable, match=r"did not start: .*redo 9"):
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
        async with asyncio.timeout(PATIENCE):
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
