"""Workers who ask for the like at the same time take together: one transaction for all who wait, an entry for each.

So a queue that many share on a node is not fought over, and what one of them costs falls with their number.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from mdm_async.images.metadata.asked import Asked
from mdm_async.images.metadata.own_kinds import Given
from mdm_async.images.metadata.rows import Desk
from mdm_async.images.metadata.tasks import MOST_TAKEN, Taken, Turn, take
from mdm_async.images.names.revealing import NameGuard
from mdm_async.names import Caller

_Alike = tuple[Caller, str, str | None, str | None, tuple[tuple[str, str], ...]]
_MOST: Final = MOST_TAKEN


@dataclass(eq=False, slots=True)
class _Waiting:
    caller: Caller
    count: int
    taken: list[Taken] | None = None
    """None: nobody has taken for them yet."""


@dataclass(slots=True)
class _Queue:
    busy: asyncio.Lock = field(default_factory=asyncio.Lock)
    waiting: list[_Waiting] = field(default_factory=list)


@dataclass(slots=True)
class TakingTogether:
    """Of one node."""

    _queues: dict[_Alike, _Queue] = field(default_factory=dict)

    async def take(
        self,
        desk: Desk,
        guard: NameGuard,
        caller: Caller,
        asked: Asked,
        given: Mapping[str, Given],
        count: int,
        turn: Turn,
    ) -> list[Taken]:
        """Up to `count` entries. `turn`: those of whoever takes for all who wait. Raises as `take`,
        each who waits for themselves."""
        alike = (
            caller,
            asked.query,
            asked.path,
            asked.view,
            tuple(sorted((name, repr(value)) for name, value in given.items())),
        )
        mine = _Waiting(caller, count)
        async with self._queue(alike, mine) as queue, queue.busy:
            if mine.taken is None:
                together: list[_Waiting] = []
                work = asyncio.ensure_future(
                    _take_for(together, mine, queue.waiting, desk, guard, asked, given, turn)
                )
                try:
                    await asyncio.shield(work)
                except asyncio.CancelledError:
                    # What is taken for others is theirs, though this one goes away.
                    if len(together) <= 1:
                        work.cancel()
                    await asyncio.wait([work])
                    raise
            assert mine.taken is not None
            return mine.taken

    @asynccontextmanager
    async def _queue(self, alike: _Alike, mine: _Waiting) -> AsyncIterator[_Queue]:
        queue = self._queues.setdefault(alike, _Queue())
        queue.waiting.append(mine)
        try:
            yield queue
        finally:
            queue.waiting.remove(mine)
            if not queue.waiting:
                self._queues.pop(alike, None)


async def _take_for(
    together: list[_Waiting],
    mine: _Waiting,
    waiting: list[_Waiting],
    desk: Desk,
    guard: NameGuard,
    asked: Asked,
    given: Mapping[str, Given],
    turn: Turn,
) -> None:
    """`together`: gets those for whom it takes, once the turn has come."""

    def takers() -> list[Caller]:
        together.extend(_together(mine, waiting))
        return [one.caller for one in together for _ in range(one.count)]

    taken = await take(desk, guard, takers, asked, given, turn)
    for one in together:
        one.taken, taken = taken[: one.count], taken[one.count :]


def _together(mine: _Waiting, waiting: list[_Waiting]) -> list[_Waiting]:
    """This one first, and so many of those for whom nobody has taken as make no more than may be taken at once."""
    found, count = [mine], mine.count
    for one in waiting:
        if one is not mine and one.taken is None and count + one.count <= _MOST:
            found.append(one)
            count += one.count
    return found
