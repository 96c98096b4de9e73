"""However many ask how the database stands, it is looked at by one after the other, and each sees what came after."""

import asyncio
import gc
import time
import weakref
from contextlib import suppress

import pytest

from mdm_async.errors import Unavailable
from mdm_async.postgres.looks import Looks
from mdm_async.postgres.turns import on_behalf
from tests.patience import PATIENCE


async def test_many_who_ask_at_once_cost_two_looks() -> None:
    begun = 0

    async def look() -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0.01)

    looks = Looks(look)
    first = asyncio.create_task(looks.since(time.monotonic()))
    await asyncio.sleep(0)
    await asyncio.gather(first, *(looks.since(time.monotonic()) for _ in range(500)))
    assert begun == 2


async def test_a_failure_is_shared_and_the_next_who_asks_looks_again() -> None:
    begun = 0

    async def look() -> None:
        nonlocal begun
        begun += 1
        await asyncio.sleep(0.01)
        if begun == 1:
            raise Unavailable

    looks = Looks(look)
    moment = time.monotonic()
    found = await asyncio.gather(*(looks.since(moment) for _ in range(50)), return_exceptions=True)
    assert {type(one) for one in found} == {Unavailable}
    assert begun == 1
    await looks.since(time.monotonic())


async def test_who_goes_away_takes_the_look_from_nobody() -> None:
    go_on, seen = asyncio.Event(), list[str]()

    async def look() -> None:
        await go_on.wait()
        seen.append(on_behalf.get())

    looks = Looks(look)
    on_behalf.set("somebody")
    moment = time.monotonic()
    goes, stays = (asyncio.create_task(looks.since(moment)) for _ in range(2))
    await asyncio.sleep(0)
    goes.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await stays
    assert seen == [""]
    with pytest.raises(asyncio.CancelledError):
        await goes


async def test_who_comes_in_the_turn_in_which_a_look_ends_has_one_of_his_own() -> None:
    async def look() -> None:
        await asyncio.sleep(0)

    looks = Looks(look)

    async def ask() -> None:
        for _ in range(200):
            await looks.since(time.monotonic())
            await asyncio.sleep(0)

    async with asyncio.timeout(PATIENCE):
        await asyncio.gather(*(ask() for _ in range(20)))


async def test_a_failure_keeps_nothing_of_those_who_waited_for_it() -> None:
    class Held:
        """Something large of a request's."""

    async def look() -> None:
        await asyncio.sleep(0)
        raise Unavailable

    looks, held = Looks(look), list[weakref.ref[Held]]()

    async def ask(moment: float) -> None:
        body = Held()
        held.append(weakref.ref(body))
        with suppress(Unavailable):
            await looks.since(moment)

    moment = time.monotonic()
    await asyncio.gather(*(ask(moment) for _ in range(20)))
    gc.collect()
    assert len(held) == 20
    assert not any(one() for one in held)
