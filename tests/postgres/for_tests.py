"""A Postgres for tests: one embedded server per session, and databases from it that cost some 30 ms each.

It lies in memory where there is room, for hundreds of databases are made there, each of hundreds of files.

With MDM_TEST_DSN set, its server is used instead; the role needs CREATEDB.
"""

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres

FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "shared_buffers": "64MB",
    "max_connections": "200",
    "max_wal_size": "128MB",
    "min_wal_size": "32MB",
}
_TRIES = 600
_MEMORY, _ROOM = Path("/dev/shm"), 4 << 30
"""Bytes that are free there: four servers need some 300 MB each."""


class PostgresForTests:
    """Makes databases on the server of `dsn`, and drops them with `close`: those that are not needed earlier."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._made: list[str] = []
        self._not_needed: list[str] = []

    async def fresh_database(self, template: str | None = None) -> str:
        """The DSN of a new database: empty, or a copy of the one that the DSN `template` names.

        Nobody may be connected to the template at that moment.
        """
        while self._not_needed:
            await self._drop(self._not_needed.pop())
        name = f"mdm_test_{secrets.token_hex(6)}"
        source = urlsplit(template).path.removeprefix("/") if template is not None else "template1"
        await self._execute(f'create database {name} template "{source}" strategy file_copy')
        self._made.append(name)
        return urlunsplit(urlsplit(self.dsn)._replace(path=f"/{name}"))

    @contextmanager
    def for_now(self) -> Iterator[None]:
        """Databases that are made meanwhile are not needed afterwards: the next one takes their place."""
        before = len(self._made)
        yield
        self._not_needed += self._made[before:]
        del self._made[before:]

    async def close(self) -> None:
        for name in self._made + self._not_needed:
            await self._drop(name)

    async def _drop(self, name: str) -> None:
        for _ in range(_TRIES):
            try:
                return await self._execute(f"drop database if exists {name} with (force)")
            except asyncpg.InsufficientPrivilegeError:  # while the vacuum is in it, which is nobody's to end
                await asyncio.sleep(0.1)
        raise TimeoutError("a database is being vacuumed all the time")

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def postgres_folder(above: Path | None = None) -> Iterator[Path]:
    """A short-named folder of its own, removed at the end; on disk, if not `above` is elsewhere.

    Not below pytest's tmp_path: each pytest run of the same user takes away the passage through that, and as
    root Postgres runs as another user, who needs it.
    """
    directory = Path(tempfile.mkdtemp(prefix="mdm-", dir=above))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def postgres_for_tests() -> AsyncIterator[PostgresForTests]:
    """The server of a test session."""
    async with AsyncExitStack() as stack:
        if not (dsn := os.environ.get("MDM_TEST_DSN", "")):
            directory = stack.enter_context(postgres_folder(in_memory()))
            dsn = (await stack.enter_async_context(EmbeddedPostgres(directory, settings=FAST))).dsn
            yield PostgresForTests(dsn)
            return  # its databases go with the folder
        server = PostgresForTests(dsn)
        stack.push_async_callback(server.close)
        yield server


def in_memory() -> Path | None:
    """A folder there, if it holds enough, and programs may be run from it: they may have to be copied."""
    try:
        found = os.statvfs(_MEMORY)
    except OSError:
        return None
    enough = found.f_bavail * found.f_frsize >= _ROOM
    return _MEMORY if enough and not found.f_flag & os.ST_NOEXEC and os.access(_MEMORY, os.W_OK) else None
