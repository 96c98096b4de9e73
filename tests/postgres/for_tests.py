"""A Postgres for tests: one embedded server per session, and databases from it that cost some 30 ms each.

With MDM_TEST_DSN set, its server is used instead; the role needs CREATEDB.
"""

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

FAST = {"fsync": "off", "full_page_writes": "off", "shared_buffers": "64MB", "max_connections": "200"}


class PostgresForTests:
    """Makes databases on the server of `dsn`, and drops them with `close`."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._made: list[str] = []

    async def fresh_database(self, template: str | None = None) -> str:
        """The DSN of a new database: empty, or a copy of the one that the DSN `template` names.

        Nobody may be connected to the template at that moment.
        """
        name = f"mdm_test_{secrets.token_hex(6)}"
        source = urlsplit(template).path.removeprefix("/") if template is not None else "template1"
        await self._execute(f'create database {name} template "{source}" strategy file_copy')
        self._made.append(name)
        return urlunsplit(urlsplit(self.dsn)._replace(path=f"/{name}"))

    async def close(self) -> None:
        for name in self._made:
            await self._execute(f"drop database if exists {name} with (force)")

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def postgres_folder() -> Iterator[Path]:
    """A short-named folder of its own, removed at the end.

    Not below pytest's tmp_path: each pytest run of the same user takes away the passage through that, and as
    root Postgres runs as another user, who needs it.
    """
    directory = Path(tempfile.mkdtemp(prefix="mdm-"))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@asynccontextmanager
async def postgres_for_tests() -> AsyncIterator[PostgresForTests]:
    """The server of a test session."""
    async with AsyncExitStack() as stack:
        if not (dsn := os.environ.get("MDM_TEST_DSN", "")):
            directory = stack.enter_context(postgres_folder())
            dsn = (await stack.enter_async_context(EmbeddedPostgres(directory, settings=FAST))).dsn
            yield PostgresForTests(dsn)
            return  # its databases go with the folder
        server = PostgresForTests(dsn)
        stack.push_async_callback(server.close)
        yield server
