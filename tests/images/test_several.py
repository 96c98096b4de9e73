"""The same work on many things, several at once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mdm_async.errors import Unavailable
from mdm_async.images.several import several_at_once


async def numbers(count: int, fail_at: int = -1) -> AsyncIterator[int]:
    for number in range(count):
        if number == fail_at:
            raise Unavailable("the source is away")
        yield number


async def test_each_is_done_once_and_no_more_than_so_many_at_a_time() -> None:
    done: list[int] = []
    running = most = 0

    async def work(number: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        done.append(number)

    await several_at_once(numbers(50), work, 3)
    assert sorted(done) == list(range(50))
    assert most == 3


@pytest.mark.parametrize("where", ["source", "work"])
async def test_a_failure_ends_all_and_is_raised_as_it_is(where: str) -> None:
    async def work(number: int) -> None:
        if where == "work" and number == 5:
            raise Unavailable("the work cannot be done")

    with pytest.raises(Unavailable):
        await several_at_once(numbers(50, 7 if where == "source" else -1), work, 3)
