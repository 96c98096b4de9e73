"""What runs beside the server for as long as it does: when one of these dies, the node must not go on.

Without its watch a node would leave old rights, authorities or certificates in force, seal no audit, delete nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import structlog

Beside: TypeAlias = Callable[[Coroutine[Any, Any, None]], None]

_log = structlog.get_logger()


class Watches:
    """Of one node."""

    def __init__(self) -> None:
        self.failed = asyncio.Event()
        """One of them has died."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Beside]:
        """Starts what runs beside the server; cancelled and awaited at the end."""
        tasks: list[asyncio.Task[None]] = []

        def beside(job: Coroutine[Any, Any, None]) -> None:
            tasks.append(asyncio.create_task(job, name=getattr(job, "__qualname__", None)))
            tasks[-1].add_done_callback(self._look_at)

        try:
            yield beside
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _look_at(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (why := task.exception()) is not None:
            _log.error(
                "what runs beside the server failed; this node stops",
                job=task.get_name(),
                kind=type(why).__name__,
            )
            self.failed.set()
