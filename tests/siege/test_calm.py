"""Without an attack the neighbour is served well, and an attack that harms him is noticed."""

import asyncio
import signal

import pytest

from tests.siege.besieged import Besieged
from tests.siege.neighbour import BadlyServed


async def test_nobody_attacks(castle: Besieged) -> None:
    async with castle.neighbour.served_well():
        pass
    assert len(castle.neighbour.waits) >= 10


async def test_a_server_that_stands_still_is_noticed(castle: Besieged) -> None:
    async def stand_still() -> None:
        async with castle.neighbour.served_well(stall=0.3):
            castle.process.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(0.5)
            castle.process.process.send_signal(signal.SIGCONT)

    with pytest.raises(BadlyServed):
        await stand_still()
