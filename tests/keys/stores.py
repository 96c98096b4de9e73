"""Key stores that share secrets, as tests open them: each with a database and a key-encryption key of its own."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg

from mdm_async.keys.split import SplitKeys, StorePlace
from mdm_async.postgres.database import Database
from tests.keys.database import INSTALLATION

NAMES = ("a", "b", "c", "d", "e")


class Keks:
    """A source that tests write."""

    name = how_to_change = "a test"
    seconds = 0.0

    def __init__(self, *keks: bytes) -> None:
        self.keks = list(keks) or [os.urandom(32)]

    def check(self) -> None:
        pass

    async def read(self) -> list[bytes]:
        return list(self.keks)


def places(dsns: Sequence[str]) -> list[StorePlace]:
    return [StorePlace(name, dsn, Keks()) for name, dsn in zip(NAMES, dsns, strict=False)]


@asynccontextmanager
async def split(
    names: Database,
    stores: Sequence[StorePlace],
    threshold: int = 2,
    *,
    watched: bool = False,
    installation: UUID = INSTALLATION,
    node: str = "a node",
) -> AsyncIterator[SplitKeys]:
    """`watched`: stores come back and are made good by themselves, as in a server."""
    async with SplitKeys.open(names, stores, threshold, installation, node, 86400.0) as keys:
        watching = [asyncio.create_task(keys.forever())] if watched else []
        try:
            yield keys
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)


async def ask(dsn: str, statement: str, *arguments: object) -> list[Any]:
    """Each row's first column."""
    connection = await asyncpg.connect(dsn)
    try:
        return [row[0] for row in await connection.fetch(statement, *arguments)]
    finally:
        await connection.close()


async def count(dsn: str, table: str = "image_secrets where kind <> 'transfer'") -> int:
    (rows,) = await ask(dsn, f"select count(*) from mdm_keys.{table}")
    return int(rows)
