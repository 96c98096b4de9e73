"""Asking together: whoever goes away, and whatever fails or takes long, each gets his own answer."""

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from mdm_async.errors import DatabaseBusy, Unavailable
from mdm_async.postgres.together import Together
from tests.faults.conditions import until


class Answers:
    """Doubles numbers, round by round. Those in `held` take until they are let go, those in `wrong` cannot be."""

    def __init__(self) -> None:
        self.rounds: list[list[int]] = []
        self.held: dict[int, asyncio.Event] = {}
        self.wrong: dict[int, Exception] = {}

    async def __call__(self, asked: Sequence[int]) -> list[int]:
        self.rounds.append(list(asked))
        for one in asked:
            if one in self.held:
                await self.held[one].wait()
            if one in self.wrong:
                raise self.wrong[one]
        return [2 * one for one in asked]


@pytest.fixture
def answers() -> Answers:
    return Answers()


async def begun(answers: Answers, together: Together[int, int], number: int) -> "asyncio.Task[Sequence[int]]":
    """Somebody whose round lasts until it is let go."""
    answers.held[number] = asyncio.Event()
    task = asyncio.create_task(together.ask([number]))
    await until(lambda: [number] in answers.rounds)
    return task


async def test_who_comes_while_a_round_runs_shares_the_next(answers: Answers) -> None:
    together = Together(answers)
    first = await begun(answers, together, 1)
    others = [asyncio.create_task(together.ask(some)) for some in ([2, 3], [4], [], [5])]
    await asyncio.sleep(0)
    answers.held[1].set()
    assert await asyncio.gather(first, *others) == [[2], [4, 6], [8], [], [10]]
    assert answers.rounds == [[1], [2, 3, 4, 5]]


async def test_who_goes_away_takes_nobody_along(answers: Answers) -> None:
    together = Together(answers)
    first = await begun(answers, together, 1)
    gone, stays = (asyncio.create_task(together.ask([number])) for number in (2, 3))
    await asyncio.sleep(0)
    first.cancel()
    gone.cancel()
    answers.held[1].set()
    assert await stays == [6]
    assert answers.rounds == [[1], [3]]


async def test_what_fails_for_one_is_told_to_him_alone(answers: Answers) -> None:
    together = Together(answers)
    answers.wrong[3] = ValueError("three")
    first = await begun(answers, together, 1)
    others = [asyncio.create_task(together.ask([number])) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    answers.held[1].set()
    told = await asyncio.gather(first, *others, return_exceptions=True)
    assert [one if isinstance(one, list) else str(one) for one in told] == [[2], [4], "three", [8]]


async def test_a_deadlock_is_told_to_whoever_is_in_it(answers: Answers) -> None:
    together = Together(answers)
    answers.wrong[3] = DatabaseBusy()
    answers.wrong[3].__cause__ = asyncpg.DeadlockDetectedError()
    first = await begun(answers, together, 1)
    others = [asyncio.create_task(together.ask([number])) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    answers.held[1].set()
    two, three, four = await asyncio.gather(*others, return_exceptions=True)
    assert (await first, two, four) == ([2], [4], [8])
    assert isinstance(three, DatabaseBusy)


async def test_an_absent_database_is_told_to_all_and_those_after_are_served(answers: Answers) -> None:
    together = Together(answers)
    answers.wrong[3] = Unavailable()
    first = await begun(answers, together, 1)
    others = [asyncio.create_task(together.ask([number])) for number in (2, 3)]
    await asyncio.sleep(0)
    answers.held[1].set()
    told = await asyncio.gather(*others, return_exceptions=True)
    assert all(isinstance(why, Unavailable) for why in told)
    assert await first == [2]
    assert await together.ask([4]) == [8]


async def test_what_takes_long_holds_up_nobody_else(answers: Answers) -> None:
    together = Together(answers)
    slow = [await begun(answers, together, number) for number in (1, 2, 3)]
    assert await together.ask([4]) == [8]
    for number in (1, 2, 3):
        answers.held[number].set()
    assert await asyncio.gather(*slow) == [[2], [4], [6]]


async def test_no_more_than_a_few_take_long_at_once(answers: Answers) -> None:
    together = Together(answers)
    slow = [await begun(answers, together, number) for number in (1, 2, 3, 4)]
    waits = asyncio.create_task(together.ask([5]))
    await asyncio.sleep(0.2)
    assert len(answers.rounds) == 4
    answers.held[1].set()
    assert await waits == [10]
    for number in (2, 3, 4):
        answers.held[number].set()
    await asyncio.gather(*slow)
