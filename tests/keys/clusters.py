"""Several real Postgres clusters, each in a folder of its own, that tests stop, freeze, start again and spoil."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import asyncpg
import psutil

from mdm_async.postgres.embedded.lifecycle import EmbeddedPostgres
from tests.postgres.for_tests import FAST, PostgresForTests, in_memory, postgres_folder


class Cluster:
    """One Postgres; `dsn` is of its maintenance database and stays the same when it is started again."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.dsn = ""
        self._running = AsyncExitStack()

    async def start(self) -> None:
        self._running = AsyncExitStack()
        postgres = EmbeddedPostgres(self.directory, settings=FAST)
        self.dsn = (await self._running.enter_async_context(postgres)).dsn

    async def stop(self) -> None:
        await self._running.aclose()

    def freeze(self) -> None:
        """All its processes stand still: it takes connections and says nothing."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    async def fresh_database(self) -> str:
        """The DSN of a new, empty database."""
        return await PostgresForTests(self.dsn).fresh_database()

    async def execute(self, dsn: str, statement: str, *arguments: object) -> None:
        """To look at or spoil what is in one of its databases."""
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement, *arguments)
        finally:
            await connection.close()

    def _signal(self, number: signal.Signals) -> None:
        (pid_file,) = self.directory.rglob("postmaster.pid")
        postmaster = psutil.Process(int(pid_file.read_text().split()[0]))
        for process in (postmaster, *postmaster.children(recursive=True)):
            os.kill(process.pid, number)


@asynccontextmanager
async def clusters(count: int) -> AsyncIterator[list[Cluster]]:
    """That many, all started."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            cluster = Cluster(stack.enter_context(postgres_folder(in_memory())))
            await cluster.start()
            stack.push_async_callback(cluster.stop)
            made.append(cluster)
        yield made
