"""Whose turn it is: owners alternate, none has all, and who cannot wait any longer leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from mdm_async.errors import DatabaseBusy, TooManyRequests
from mdm_async.postgres.turns import Turns, on_behalf

NEVER = 60.0


@asynccontextmanager
async def had(turns: Turns, owner: str, patience: float = NEVER) -> AsyncIterator[None]:
    on_behalf.set(owner)
    async with turns.turn(patience):
        yield


async def waiting(turns: Turns, count: int) -> None:
    while turns.waiting != count:  # noqa: ASYNC110
        await asyncio.sleep(0)


class Line:
    """Who had a turn, in which order; each keeps it until told."""

    def __init__(self, turns: Turns) -> None:
        self.turns, self.order, self.go_on = turns, list[str](), asyncio.Event()

    async def stand(self, owner: str) -> None:
        async with had(self.turns, owner):
            self.order.append(owner)
            await self.go_on.wait()


async def test_owners_take_turns_however_many_wait_for_one() -> None:
    turns = Turns(1, 1, 100)
    line = Line(turns)
    async with asyncio.TaskGroup() as group:
        for owner in ("first", *["many"] * 5, "other", "third"):
            group.create_task(line.stand(owner))
        await waiting(turns, 7)
        line.go_on.set()
    assert line.order == ["first", "many", "other", "third", "many", "many", "many", "many"]


async def test_one_owner_never_has_all() -> None:
    turns = Turns(4, 3, 100)
    line = Line(turns)
    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(line.stand("many"))
        await waiting(turns, 3)
        async with had(turns, "other"):
            assert turns.used == 4
        line.go_on.set()
    assert turns.used == 0


async def test_what_is_nobodys_may_have_all_that_is_free() -> None:
    turns = Turns(2, 1, 100)
    async with had(turns, ""), had(turns, ""):
        assert turns.used == 2


async def test_who_waits_too_long_is_told_that_it_is_busy() -> None:
    turns = Turns(1, 1, 100)
    async with had(turns, "one"):
        with pytest.raises(DatabaseBusy, match="no connection became free"):
            async with had(turns, "other", 0.01):
                pytest.fail("there were two turns")
    assert (turns.used, turns.waiting) == (0, 0)


@pytest.mark.parametrize("owner", ["many", "other"])
async def test_who_comes_when_too_many_wait_is_told_at_once(owner: str) -> None:
    turns = Turns(1, 1, 2)
    line = Line(turns)
    async with asyncio.TaskGroup() as group:
        for one in ("first", "many", "second"):
            group.create_task(line.stand(one))
        await waiting(turns, 2)
        with pytest.raises(TooManyRequests):
            await line.stand(owner)
        line.go_on.set()
    assert (turns.used, turns.waiting) == (0, 0)


async def test_one_owner_has_a_quarter_of_those_who_may_wait() -> None:
    turns = Turns(1, 1, 8)
    line = Line(turns)
    async with asyncio.TaskGroup() as group:
        for one in ("first", "many", "many"):
            group.create_task(line.stand(one))
        await waiting(turns, 2)
        with pytest.raises(TooManyRequests):
            await line.stand("many")
        group.create_task(line.stand("other"))
        await waiting(turns, 3)
        line.go_on.set()
    assert line.order[-1] == "many"


@pytest.mark.parametrize("together", [False, True], ids=["while it waits", "with its turn"])
async def test_who_is_cancelled_leaves_the_turn_to_the_next(together: bool) -> None:
    turns = Turns(1, 1, 100)
    line = Line(turns)
    line.go_on.set()
    async with had(turns, "first"):
        gone = asyncio.create_task(line.stand("gone"))
        after = asyncio.create_task(line.stand("after"))
        await waiting(turns, 2)
        if not together:
            gone.cancel()
    # Its turn has come, and it does not know yet.
    gone.cancel()
    await after
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert line.order == ["after"]
    assert (turns.used, turns.waiting) == (0, 0)


async def test_a_flood_from_many_addresses_leaves_room_for_whoever_comes_next() -> None:
    turns = Turns(1, 1, 100)
    line = Line(turns)
    async with asyncio.TaskGroup() as group, had(turns, "first"):
        for address in range(8):
            for _ in range(40):
                group.create_task(_stand_or_go(line, f"source {address}"))
        for _ in range(5):
            await asyncio.sleep(0)
        assert turns.waiting < 100
        group.create_task(line.stand("newcomer"))
        await asyncio.sleep(0)
        line.go_on.set()
    assert "newcomer" in line.order


async def test_the_servers_own_work_is_never_refused_for_those_who_wait() -> None:
    turns = Turns(1, 1, 2)
    line = Line(turns)
    async with asyncio.TaskGroup() as group, had(turns, "first"):
        for owner in "abcdef":
            group.create_task(_stand_or_go(line, owner))
        for _ in range(4):
            group.create_task(line.stand(""))
        await asyncio.sleep(0)
        line.go_on.set()
    assert line.order.count("") == 4


async def _stand_or_go(line: Line, owner: str) -> None:
    with suppress(TooManyRequests):
        await line.stand(owner)
