"""Looks into inverted indexes. Only a bitmap scan reads one, and connections of the pool make none of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mdm_async.postgres.database import Connection


@asynccontextmanager
async def bitmap_scans(db: Connection) -> AsyncIterator[None]:
    """For the statements within. Others of a transaction around it keep their plans: a directory would be read whole
    for a page of it."""
    async with db.transaction():
        await db.execute("set local enable_bitmapscan = on")
        yield
        await db.execute("set local enable_bitmapscan = off")
