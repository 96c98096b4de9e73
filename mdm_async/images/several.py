"""The same work on many things, several at once."""

import asyncio
from collections.abc import AsyncIterable, Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")


async def several_at_once(
    things: AsyncIterable[T], work: Callable[[T], Awaitable[None]], workers: int
) -> None:
    """Do `work` on each thing by so many workers; they are taken as fast as they are worked on.

    The first failure ends all, and is raised.
    """
    queue: asyncio.Queue[tuple[T] | None] = asyncio.Queue(workers)

    async def worker() -> None:
        while (next_thing := await queue.get()) is not None:
            await work(next_thing[0])

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(worker())
            async for thing in things:
                await queue.put((thing,))
            for _ in range(workers):
                await queue.put(None)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None
