"""Owners of embedded servers, to be killed, and what is asked of the servers that they leave."""

# ruff: noqa: ASYNC110 - this loop may wait
import asyncio
import os
import pwd
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import asyncpg
import psutil
import pytest

from tests.patience import PATIENCE

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
    async with asyncio.timeout(PATIENCE):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            await asyncio.sleep(0.01)


def postgres_uid() -> int:
    return pwd.getpwnam("mdm-postgres").pw_uid if os.geteuid() == 0 else os.geteuid()
