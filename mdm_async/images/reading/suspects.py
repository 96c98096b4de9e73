"""Images of which something stored was not as it should be when it was read: whoever reads only says so, and whoever
listens looks deeper, beside the requests, into each once in a while.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

_MOST: Final = 1000
"""Images that are known at once; of more, the check that goes on by itself finds the others."""
_AGAIN: Final = 60.0
"""Seconds until one is told again."""


class Suspects:
    """Those that one listener was told of."""

    def __init__(self) -> None:
        self._waiting: dict[UUID, None] = {}
        self._told: dict[UUID, float] = {}
        """Until when each is not told again, the oldest first."""
        self._more = asyncio.Event()

    def add(self, image: UUID) -> None:
        if image in self._waiting or len(self._waiting) >= _MOST:
            return
        if self._told.get(image, 0.0) > time.monotonic():
            return
        self._waiting[image] = None
        self._more.set()

    async def next(self) -> UUID:
        """Waits for one."""
        while not self._waiting:
            self._more.clear()
            await self._more.wait()
        image = next(iter(self._waiting))
        del self._waiting[image]
        self._told.pop(image, None)
        if len(self._told) >= _MOST:
            del self._told[next(iter(self._told))]
        self._told[image] = time.monotonic() + _AGAIN
        return image


_listening: list[Suspects] = []


def suspect(image: UUID) -> None:
    """To be called on the event loop; costs a look into a dict."""
    for listener in _listening:
        listener.add(image)


@contextmanager
def listening() -> Iterator[Suspects]:
    """What readers in this process come upon meanwhile."""
    mine = Suspects()
    _listening.append(mine)
    try:
        yield mine
    finally:
        _listening.remove(mine)
