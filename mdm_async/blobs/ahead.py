"""The next piece is fetched while one is used."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def one_ahead(jobs: Iterable[Callable[[], Coroutine[Any, Any, T]]]) -> AsyncGenerator[T, None]:
    """The jobs' results in order. When one is handed out, the job after it has begun; close it, or that goes on."""
    begun: asyncio.Task[T] | None = None
    following = iter(jobs)
    job = next(following, None)
    try:
        while job is not None:
            done = await (begun or job())
            job = next(following, None)
            begun = asyncio.ensure_future(job()) if job is not None else None
            yield done
    finally:
        if begun is not None:
            begun.cancel()
            # It may have failed already, which nobody wants to know any more.
            await asyncio.gather(begun, return_exceptions=True)
