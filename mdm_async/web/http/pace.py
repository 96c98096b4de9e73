"""Readers that hardly read are cut, so that they do not hold connections and memory for ever."""

import asyncio
from typing import Self

_PERIOD = 60.0


class Pace:
    """Watches one transfer: below `slowest` bytes/s over a minute, its connection is aborted."""

    def __init__(self, transport: asyncio.Transport, slowest: int) -> None:
        self._transport = transport
        self._floor = slowest * _PERIOD
        self._sent = self._mark = 0
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        if self._floor:
            self._timer = asyncio.get_running_loop().call_later(_PERIOD, self._look)
        return self

    def __exit__(self, *failure: object) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def sent(self, count: int) -> None:
        self._sent += count

    def _look(self) -> None:
        gone = self._sent - self._transport.get_write_buffer_size()
        if gone - self._mark < self._floor:
            self._transport.abort()
            return
        self._mark = gone
        self._timer = asyncio.get_running_loop().call_later(_PERIOD, self._look)
