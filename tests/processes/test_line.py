"""Two ends of a line: whoever asks is answered, in whatever order, until one of them ends."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from mdm_async.line import Answer, Line


@asynccontextmanager
async def _lines(answer: Answer) -> AsyncIterator[tuple[Line, Line, asyncio.Task[None], asyncio.Task[None]]]:
    one, other = socket.socketpair()
    first, second = await Line.over(one, answer), await Line.over(other, answer)
    hearing = [asyncio.create_task(line.run()) for line in (first, second)]
    try:
        yield first, second, *hearing
    finally:
        for task in hearing:
            task.cancel()
        await asyncio.gather(*hearing, return_exceptions=True)


async def _backwards(question: bytes) -> bytes:
    return question[::-1]


async def test_both_ask_at_once() -> None:
    async with _lines(_backwards) as (first, second, *_):
        asked = [line.ask(b"%d apples" % number) for number in range(100) for line in (first, second)]
        assert await asyncio.gather(*asked) == [
            b"%d apples"[::-1].replace(b"d%", str(number)[::-1].encode())
            for number in range(100)
            for _ in "12"
        ]


async def test_a_late_answer_keeps_no_other() -> None:
    never = asyncio.Event()

    async def answer(question: bytes) -> bytes:
        if question == b"slow":
            await never.wait()
        return question

    async with _lines(answer) as (first, *_):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await first.ask(b"slow")
        assert await first.ask(b"x" * (1 << 20)) == b"x" * (1 << 20)


async def test_whoever_waits_is_told_that_the_other_has_ended() -> None:
    never = asyncio.Event()

    async def answer(question: bytes) -> bytes:
        await never.wait()
        return question

    async with _lines(answer) as (first, _, _, hearing):
        asked = asyncio.create_task(first.ask(b"anybody?"))
        await asyncio.sleep(0)
        hearing.cancel()
        with pytest.raises(ConnectionError):
            await asked
        with pytest.raises(ConnectionError):
            await first.ask(b"still nobody?")


async def test_what_is_handed_over_comes_before_questions() -> None:
    one, other = socket.socketpair()
    giver, taker = await Line.over(one, _backwards), await Line.over(other, _backwards)
    _, handed = await asyncio.gather(giver.hand(b"settings" * 100_000), taker.handed())
    assert handed == b"settings" * 100_000
    hearing = asyncio.create_task(giver.run())
    beside = asyncio.create_task(taker.run())
    assert await taker.ask(b"ready") == b"ydaer"
    hearing.cancel()
    await beside
