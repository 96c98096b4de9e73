"""Work is done to its end, though whoever waits for it is cancelled."""

import asyncio

import pytest

from mdm_async.errors import Unavailable
from mdm_async.images.uninterrupted import uninterrupted


async def test_it_is_waited_for_by_who_is_cancelled_meanwhile() -> None:
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        await may_end.wait()
        ended.set()

    waiting = asyncio.create_task(uninterrupted(work()))
    await begun.wait()
    waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


async def test_its_failure_is_raised() -> None:
    async def work() -> None:
        raise Unavailable("the store is away")

    with pytest.raises(Unavailable, match="away"):
        await uninterrupted(work())
