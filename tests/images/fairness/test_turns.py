"""Callers take turns at pieces of work."""

import asyncio
from contextlib import AsyncExitStack, ExitStack

import pytest

from mdm_async.errors import TooManyRequests
from mdm_async.images.fairness import turns as module
from mdm_async.images.fairness.pieces import in_pieces
from mdm_async.images.fairness.turns import LARGE, SMALL, Turns
from mdm_async.names import Payer
from tests.faults.conditions import until
from tests.patience import PATIENCE

ALICE, BOB = Payer("user:alice", "one"), Payer("user:bob", "one")
OTHER_WORKER = Payer("user:alice", "two")


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def turns(clock: Clock) -> Turns:
    return Turns(16, 128, 0.5, clock)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def begun(turns: Turns, payer: Payer, number: int, order: list[str], *, over: asyncio.Event) -> None:
    async with turns.turn(payer):
        order.append(f"{payer.account} {payer.worker} {number}")
        await over.wait()


async def test_a_caller_alone_has_half_of_all_begun_and_large_pieces(turns: Turns) -> None:
    over, order = asyncio.Event(), list[str]()
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(begun(turns, ALICE, number, order, over=over))
        await settle()
        assert len(order) == 8
        assert turns.size(ALICE) == LARGE
        over.set()
    assert len(order) == 20
    assert (turns.running, turns.queue.used) == (0, 0)


async def test_among_others_he_has_few_begun_and_small_ones(turns: Turns) -> None:
    over, order = asyncio.Event(), list[str]()
    async with asyncio.TaskGroup() as group:
        with turns.serving(BOB):
            assert turns.size(ALICE) == SMALL
            for number in range(20):
                group.create_task(begun(turns, ALICE, number, order, over=over))
            await settle()
            assert len(order) == 2
        over.set()


async def test_another_caller_begins_at_once(turns: Turns) -> None:
    over, order = asyncio.Event(), list[str]()
    async with asyncio.TaskGroup() as group:
        for number in range(20):
            group.create_task(begun(turns, ALICE, number, order, over=over))
        await settle()
        group.create_task(begun(turns, BOB, 0, order, over=over))
        await settle()
        assert order[-1] == "user:bob one 0"
        over.set()


async def test_who_has_had_much_waits_while_one_who_has_had_little_is_served_but_not_for_long(
    turns: Turns, clock: Clock
) -> None:
    for _ in range(50):
        async with turns.turn(ALICE, 8):
            pass
    over, order = asyncio.Event(), list[str]()
    over.set()
    async with asyncio.TaskGroup() as group:
        with turns.serving(BOB):
            group.create_task(begun(turns, ALICE, 0, order, over=over))
            await settle()
            assert order == []
            clock.now += 0.2
            await until(lambda: order == ["user:alice one 0"])  # by the timer that looks again
            group.create_task(begun(turns, ALICE, 1, order, over=over))
            await settle()
            assert len(order) == 1
        await settle()
        assert len(order) == 2


async def test_nobody_gives_way_to_a_request_that_takes_long(turns: Turns, clock: Clock) -> None:
    for _ in range(50):
        async with turns.turn(ALICE, 8):
            pass
    with turns.serving(BOB):
        clock.now += 0.3
        async with asyncio.timeout(PATIENCE), turns.turn(ALICE):
            pass


async def test_the_workers_of_one_caller_take_turns_too(turns: Turns) -> None:
    order, tasks = list[str](), list[asyncio.Task[None]]()
    over = asyncio.Event()
    over.set()
    async with AsyncExitStack() as stack:
        for _ in range(8):
            await stack.enter_async_context(turns.turn(ALICE))
        tasks += [asyncio.create_task(begun(turns, ALICE, n, order, over=over)) for n in range(5)]
        tasks += [asyncio.create_task(begun(turns, OTHER_WORKER, n, order, over=over)) for n in range(2)]
        await settle()
        assert order == []
    await asyncio.gather(*tasks)
    assert [one.split()[1] for one in order[:4]] == ["one", "two", "one", "two"]


async def in_a_later_piece(turns: Turns) -> None:
    async with turns.turn(ALICE, first=False):
        pass


async def test_too_many_that_wait_are_refused_at_once_and_another_caller_is_not(turns: Turns) -> None:
    over, order = asyncio.Event(), list[str]()
    tasks = [asyncio.create_task(begun(turns, ALICE, n, order, over=over)) for n in range(8 + 32)]
    await settle()
    with pytest.raises(TooManyRequests) as refused:
        async with turns.turn(ALICE):
            pass
    assert refused.value.retry_after
    async with turns.turn(BOB):
        pass
    tasks.append(asyncio.create_task(in_a_later_piece(turns)))
    over.set()
    await asyncio.gather(*tasks)


@pytest.mark.parametrize("begins_too", [False, True])
async def test_who_goes_away_leaves_his_place(turns: Turns, begins_too: bool) -> None:
    over, order = asyncio.Event(), list[str]()
    running = [asyncio.create_task(begun(turns, ALICE, n, order, over=over)) for n in range(8)]
    waiting = [asyncio.create_task(begun(turns, ALICE, n, order, over=over)) for n in range(8, 11)]
    await settle()
    if begins_too:
        over.set()
    waiting[0].cancel()
    await settle()
    over.set()
    found = await asyncio.gather(*running, *waiting, return_exceptions=True)
    assert sum(isinstance(one, asyncio.CancelledError) for one in found) == 1
    assert (turns.running, turns.queue.used) == (0, 0)
    async with turns.turn(ALICE):
        pass


async def test_a_request_is_done_in_pieces_all_of_it_once() -> None:
    turns, done = Turns(16, 128, 0.5), list[int]()

    async def some(items: range) -> None:
        done.extend(items)

    with ExitStack() as stack:
        stack.enter_context(turns.serving(ALICE))
        await in_pieces(turns, ALICE, 150, some)
        stack.enter_context(turns.serving(BOB))
        await in_pieces(turns, ALICE, 30, some)
    assert done == [*range(150), *range(30)]
    await in_pieces(turns, ALICE, 0, some)
    assert len(done) == 180


async def test_who_comes_when_all_who_are_known_are_being_served_is_known_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_KNOWN", 2)
    turns = Turns(64, 64, 0.5)
    with ExitStack() as served:
        for name in ("a", "b", "c", "c"):
            served.enter_context(turns.serving(Payer(name, "")))
        assert turns._served["c"].served == 2
    assert not turns._served


async def test_what_names_thousands_of_files_runs_by_itself_among_others(turns: Turns) -> None:
    order: list[str] = []
    over = asyncio.Event()

    async def heavy(number: int) -> None:
        async with turns.turn(Payer("a", "w"), 10_000):
            order.append(f"a{number}")
            await over.wait()

    async with asyncio.TaskGroup() as group:
        with turns.serving(BOB):
            for number in range(3):
                group.create_task(heavy(number))
            await settle()
            assert order == ["a0"]
            async with turns.turn(BOB):
                order.append("b")
        over.set()
    assert order[:2] == ["a0", "b"]
