"""What was committed without waiting for the disk, waited for by all who need it at once.

A transaction that does not wait gives its connection back at once; one that waits, begun afterwards, has on the disk
whatever was committed before it. So those who come together share one wait.
"""

import asyncio

from mdm_async.postgres.database import Database
from mdm_async.postgres.turns import as_nobody

_WAIT = "select pg_logical_emit_message(true, 'mdm', '')"
"""Something in the write-ahead log, for a commit of nothing waits for nothing; it changes no table."""


class OnDisk:
    """Of one node."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[asyncio.Future[None]] = []
        self._flushing: asyncio.Future[None] | None = None

    async def all_so_far(self) -> None:
        """Return once all that was committed before this call survives a crash. Raises Unavailable when that cannot
        be known."""
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(mine)
        if self._flushing is None:
            self._flushing = as_nobody(self._flush())
        await mine

    async def _flush(self) -> None:
        """While one commit runs, those that come meanwhile gather for the next."""
        batch: list[asyncio.Future[None]] = []
        try:
            while self._waiting:
                try:
                    async with self._database.acquire() as db:
                        batch, self._waiting = self._waiting, []
                        await db.execute(_WAIT)
                except Exception as why:
                    # Those for whom no connection was to be had too: they are told, and may come again.
                    batch, self._waiting = [*batch, *self._waiting], []
                    for one in batch:
                        if not one.done():
                            one.set_exception(why)
                else:
                    for one in batch:
                        if not one.done():
                            one.set_result(None)
                batch = []
        finally:
            self._flushing = None
            for one in (*batch, *self._waiting):
                one.cancel()
