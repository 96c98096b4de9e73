"""Whose turn it is to have one of a lane's connections: owners take turns, and none has all of them.

Without it, sixteen slow statements of one caller's are all connections, and a thousand that wait are before everybody.
"""

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from contextvars import Context, ContextVar
from typing import TypeVar

from mdm_async.errors import TooManyRequests
from mdm_async.postgres.sqlstates import busy

on_behalf: ContextVar[str] = ContextVar("on_behalf", default="")
"""Whose request runs; nobody's is the server's own work, which may have all that is free."""

T = TypeVar("T")

_OF_ONE = 4
"""One owner's waiting requests are at the most this fraction of what the others leave: so there is always some left for
whoever comes next, however many addresses a flood comes from."""


def as_nobody(work: Coroutine[None, None, T]) -> "asyncio.Task[T]":
    """Work for many whom the first of them begins: were it his, the others would wait for their turn behind his own."""
    return asyncio.get_running_loop().create_task(work, context=Context())


class Turns:
    """`places` connections, of which an owner has `share` at the most; so many may wait for one, in all."""

    def __init__(self, places: int, share: int, waiting: int) -> None:
        self._places, self._share, self._most = places, share, waiting
        self._free = places
        self._held: Counter[str] = Counter()
        self._queues: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._waiting = 0

    def __repr__(self) -> str:
        return f"<Turns {self._free} of {self._places} free, {self._waiting} waiting>"

    @property
    def used(self) -> int:
        return self._places - self._free

    @property
    def places(self) -> int:
        return self._places

    @property
    def waiting(self) -> int:
        return self._waiting

    @property
    def most_waiting(self) -> int:
        return self._most

    @asynccontextmanager
    async def turn(self, patience: float | None) -> AsyncIterator[None]:
        """A place, for the owner that `on_behalf` names. Raises DatabaseBusy when none is free in so many seconds, and
        TooManyRequests when too many wait already; never for the server's own work, which is of a few."""
        owner = on_behalf.get()
        await self._take(owner, patience)
        try:
            yield
        finally:
            self._give(owner)

    async def _take(self, owner: str, patience: float | None) -> None:
        if self._free and owner not in self._queues and self._may_have_more(owner):
            self._grant(owner)
            return
        queue = self._queues.get(owner)
        if owner and not self._may_wait(len(queue or ())):
            raise TooManyRequests("too many requests wait for the catalog's database", retry_after=2)
        if queue is None:
            queue = self._queues[owner] = deque()
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(place)
        self._waiting += 1
        try:
            async with asyncio.timeout(patience):
                await place
        except BaseException as why:
            if place.done() and not place.cancelled():
                self._give(owner)  # It came together with what ended the wait.
            elif place in self._queues.get(owner, ()):
                self._leave(owner, place)
            if isinstance(why, TimeoutError):
                raise busy("no connection became free in time") from None
            raise

    def _may_wait(self, own: int) -> bool:
        left = self._most - (self._waiting - own)
        return own < min(left, max(1, left // _OF_ONE))

    def _may_have_more(self, owner: str) -> bool:
        return not owner or self._held[owner] < self._share

    def _grant(self, owner: str) -> None:
        self._free -= 1
        self._held[owner] += 1

    def _leave(self, owner: str, place: "asyncio.Future[None]") -> None:
        queue = self._queues[owner]
        queue.remove(place)
        self._waiting -= 1
        if not queue:
            del self._queues[owner]

    def _give(self, owner: str) -> None:
        self._free += 1
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
        self._serve_next()

    def _serve_next(self) -> None:
        """The first of the owner whose turn it is; those who have their share are passed over, and are few."""
        while self._free:
            owner = next((one for one in self._queues if self._may_have_more(one)), None)
            if owner is None:
                return
            place = self._queues[owner][0]
            self._leave(owner, place)
            if owner in self._queues:
                self._queues.move_to_end(owner)
            if not place.cancelled():
                self._grant(owner)
                place.set_result(None)
