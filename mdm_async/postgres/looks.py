"""A look at the database that all share who want one at the same time."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress

from mdm_async.postgres.turns import as_nobody


class Looks:
    """One at a time, whoever asks and how often: no flood of questions becomes one of statements."""

    def __init__(self, look: Callable[[], Coroutine[None, None, None]]) -> None:
        self._look = look
        self._running: asyncio.Task[None] | None = None
        self._began = float("-inf")

    async def since(self, moment: float) -> None:
        """Return when a look has ended that began at this moment (`time.monotonic`) or later. Raises what it raised:
        those who wait share its failure too, or each would wait for one of its own."""
        while (running := self._unended) is not None and self._began < moment:
            with suppress(Exception):
                await asyncio.shield(running)
        if running is None:
            self._began = time.monotonic()
            self._running = running = as_nobody(self._look())
            running.add_done_callback(self._forget)
        await asyncio.shield(running)

    @property
    def _unended(self) -> "asyncio.Task[None] | None":
        # By itself, not by a callback: one that has ended is not waited for, and would be asked for ever.
        return None if self._running is None or self._running.done() else self._running

    def _forget(self, ended: "asyncio.Task[None]") -> None:
        """What it raised holds the frames of all who waited for it; and they may have gone without taking it."""
        if not ended.cancelled():
            ended.exception()
        if self._running is ended:
            self._running = None
