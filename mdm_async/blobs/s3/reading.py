"""A blob read from S3 by ranges. What is asked for in order is fetched ahead, several ranges at once where whoever
reads is faster than the engine."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeVar

import obstore
from obstore.store import S3Store

from mdm_async.blobs.s3.failures import told
from mdm_async.blobs.store import STEP, Piece
from mdm_async.errors import Lost, Unavailable
from mdm_async.held import may_wait

T = TypeVar("T")
_DEEPEST: Final = 4
"""Ranges that one reader has fetched ahead at the most; one that is slower than the engine has one."""
_SWALLOWED: Final = 8
"""Ranges for each of which a reader has waited, before another is fetched ahead."""
_ALL_AHEAD: Final = 128
"""Ranges ahead, beyond one each, of all readers: 128 MiB."""
_SMALL: Final = 600_000
"""Bytes up to which a job is done on the event loop: less than a hop to the pool takes."""


@dataclass(slots=True)
class Ahead:
    """What all readers of a store have fetched ahead beyond one range each."""

    running: int = 0


@dataclass(frozen=True, slots=True)
class _Fetch:
    """A range on its way."""

    offset: int
    size: int
    data: "asyncio.Task[memoryview]"


class S3Reader:
    """Of one blob; `whole`: its bytes, when they came with it."""

    def __init__(
        self,
        store: S3Store,
        key: str,
        size: int,
        pool: ThreadPoolExecutor,
        ahead: Ahead,
        demand_there: Callable[[], Awaitable[None]],
        whole: memoryview | None = None,
    ) -> None:
        """`demand_there` raises Unavailable when it is the whole store that is not there."""
        self._store, self._key, self._size, self._pool = store, key, size, pool
        self._all, self._whole = ahead, whole
        self._demand_there = demand_there
        self._ahead: deque[_Fetch] = deque()
        self._depth, self._waited = 1, 0
        self._next = -1
        self._closed = False

    async def apply(self, offset: int, size: int, job: Callable[[memoryview], T]) -> T:
        found = await self._at(offset, size, self._size, in_order=offset == self._next)
        if size <= _SMALL:
            return job(found)
        return await asyncio.get_running_loop().run_in_executor(self._pool, job, found)

    async def pieces(self, offset: int, size: int, *, files: bool) -> AsyncGenerator[Piece, None]:
        stop = offset + size
        for place in range(offset, stop, STEP):
            yield await self._at(place, min(STEP, stop - place), stop, in_order=True)

    def close(self) -> None:
        self._closed = True
        self._drop()

    async def _at(self, offset: int, size: int, stop: int, *, in_order: bool) -> memoryview:
        """Bytes of the blob. In order, those behind them, up to `stop`, are on their way meanwhile."""
        if self._closed:
            raise Unavailable("the transfer has ended")
        if self._whole is not None:
            return self._whole[offset : offset + size]
        may_wait("the blob store")
        fetch = self._taken(offset, size) or self._begun(offset, size)
        self._next = offset + size
        if in_order:
            self._look_ahead(size, stop)
        try:
            return (await fetch.data)[:size]
        finally:
            fetch.data.cancel()

    def _taken(self, offset: int, size: int) -> _Fetch | None:
        """The range that was fetched ahead, if it is the one that is wanted."""
        if not self._ahead:
            return None
        if self._ahead[0].offset != offset or self._ahead[0].size < size:
            self._drop()
            return None
        fetch = self._ahead.popleft()
        if self._ahead:
            self._all.running -= 1
        # Not of the first, which sockets swallow: who reads no more then would hold as much as who reads fast.
        self._waited = self._waited + 1 if not fetch.data.done() else 0
        self._depth = min(1 + self._waited // _SWALLOWED, _DEEPEST)
        return fetch

    def _look_ahead(self, size: int, stop: int) -> None:
        place = self._ahead[-1].offset + self._ahead[-1].size if self._ahead else self._next
        while place < stop and len(self._ahead) < self._depth:
            if self._ahead and self._all.running >= _ALL_AHEAD:
                return
            self._all.running += bool(self._ahead)
            self._ahead.append(self._begun(place, min(size, stop - place)))
            place += size

    def _begun(self, offset: int, size: int) -> _Fetch:
        fetch = asyncio.ensure_future(self._fetched(offset, size))
        # It may have failed before anybody wants it, or nobody may.
        fetch.add_done_callback(lambda done: done.cancelled() or done.exception())
        return _Fetch(offset, size, fetch)

    async def _fetched(self, offset: int, size: int) -> memoryview:
        try:
            with told():
                data = await obstore.get_range_async(self._store, self._key, start=offset, length=size)
        except FileNotFoundError:
            await self._demand_there()
            raise Lost("a blob is missing") from None
        if len(data) != size:
            raise Lost("a blob is shorter than the catalog says")
        return memoryview(data)

    def _drop(self) -> None:
        self._all.running -= max(0, len(self._ahead) - 1)
        for fetch in self._ahead:
            with suppress(RuntimeError):  # the loop has ended
                fetch.data.cancel()
        self._ahead.clear()
