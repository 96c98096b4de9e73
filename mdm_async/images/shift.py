"""A node's turn at a queue of work: rows are taken page by page, kept while they are worked on, and settled."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import suppress
from types import TracebackType
from typing import Self

import structlog

from mdm_async.catalog.work.queue import LEASE, Queue, Row
from mdm_async.errors import MdmError
from mdm_async.images.uninterrupted import uninterrupted
from mdm_async.postgres.database import Database

_SAY_AGAIN = 60.0

_log = structlog.get_logger()


class Shift:
    """As a context. What is neither done nor failed at its end is given back, for another to take at once."""

    def __init__(self, database: Database, queue: Queue, node: str, page: int) -> None:
        self._database, self._queue, self._node, self._page = database, queue, node, page
        self._held: set[Row] = set()
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def page(self) -> list[Row]:
        """Rows that are due; none when there are none."""
        async with self._database.acquire() as db:
            rows = await self._queue.take(db, self._node, self._page)
        self._held.update(rows)
        if rows and self._renewing is None:
            self._renewing = asyncio.create_task(self._renew())
        return rows

    def join(self, rows: Collection[Row]) -> None:
        """Rows that were taken beside those of `page`, for this shift's node."""
        self._held.update(rows)

    def let_go(self, rows: Collection[Row]) -> None:
        """They are kept no more, and are another's when their leases lapse."""
        self._held.difference_update(rows)

    async def rows(self) -> AsyncIterator[Row]:
        """One after the other, until none is due."""
        while rows := await self.page():
            for row in rows:
                yield row

    async def attempt(self, row: Row, work: Callable[[Row], Awaitable[None]]) -> None:
        """Work on a row, and settle it as failed when that raises: it must not keep the others."""
        try:
            await work(row)
        except Exception as why:
            await self._failed(row, why)
        finally:
            # Also what cannot be settled now: its lease lapses.
            self._held.discard(row)

    async def pages(self, work: Callable[[list[Row]], Awaitable[None]]) -> None:
        """Work on whole pages, by which their rows go, until none is due. Of a page that raises, each row by itself.

        What cannot be had for the whole page (another store is away) is not tried for each.
        """
        while rows := await self.page():
            try:
                await work(rows)
            except MdmError as why:
                for row in rows:
                    await self._failed(row, why)
            except Exception:
                for row in rows:
                    await self.attempt(row, lambda row: work([row]))
            self._held.difference_update(rows)

    async def done(self, rows: list[Row]) -> None:
        async with self._database.acquire() as db:
            await self._queue.done(db, rows)
        self._held.difference_update(rows)

    async def put_back(self, rows: Collection[Row], seconds: float) -> None:
        """They are due again in so many seconds."""
        self._held.difference_update(rows)
        async with self._database.acquire() as db:
            await self._queue.put_back(db, rows, seconds)

    async def _failed(self, row: Row, why: Exception) -> None:
        """Its turn comes again, later each time."""
        key = " ".join(map(str, row.key))
        if isinstance(why, MdmError):
            _log.warning("work failed", queue=self._queue.name, row=key, reason=why.detail)
        else:  # a mistake of ours; its message could quote the file
            _log.error("work failed", queue=self._queue.name, row=key, kind=type(why).__name__)
        async with self._database.acquire() as db:
            await self._queue.fail(db, row, type(why).__name__)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
        if not self._held:
            return
        # Not needed for others to go on, who would wait for the lease: so the server's end waits for no database.
        await uninterrupted(self._give_back())

    async def _give_back(self) -> None:
        with suppress(MdmError):
            async with self._database.acquire() as db:
                await self._queue.put_back(db, self._held, 0)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE / 3)
            with suppress(MdmError):  # the database may come back before the leases lapse
                async with self._database.acquire() as db:
                    await self._queue.renew(db, self._held)


async def over_and_over(what: str, job: Callable[[], Awaitable[object]], pause: float) -> None:
    """A job whose failure puts it off for so many seconds, whatever it was. The log says it once a minute, and when it
    fails for another reason."""
    said, said_at = "", 0.0
    while True:
        reason, tell = "", _log.warning
        try:
            await job()
        except MdmError as why:
            reason = why.detail
        except Exception as why:
            reason, tell = type(why).__name__, _log.error
        now = time.monotonic()
        if reason and (reason != said or now - said_at >= _SAY_AGAIN):
            tell(f"{what} put off", reason=reason)
            said_at = now
        said = reason
        await asyncio.sleep(pause)
