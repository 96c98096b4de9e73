"""One caller's readers, who hardly read, keep neither other callers nor that caller's other workers from reading."""

import asyncio
import socket
from contextlib import ExitStack

import pytest

from tests.siege.attacks_callers import LARGE, large_file, slow_reader
from tests.siege.besieged import WEAK, Besieged

READERS = 1_100


async def statuses(lines: list[socket.socket]) -> list[int]:
    """Of the answers to these readers."""
    loop = asyncio.get_running_loop()
    heads = await asyncio.gather(*(loop.sock_recv(line, 64) for line in lines))
    return [int(head.split()[1]) for head in heads]


async def test_a_thousand_readers_of_one_caller_leave_others_theirs(castle: Besieged) -> None:
    surl = await large_file(castle)
    url = (await castle.srm("prepareToGet", files=[{"surl": surl}]))["files"][0]["transferURL"]
    with ExitStack() as readers:
        async with castle.neighbour.served_well():
            lines = []
            for number in range(READERS):
                lines.append(readers.enter_context(slow_reader(castle, url, "127.0.0.1")))
                if number % 50 == 0:
                    await asyncio.sleep(0)
            answered = await statuses(lines)
        assert set(answered) == {200, 429}
        async with castle.neighbour.served_well():
            pass


@pytest.mark.settings(transfers__running="4")
async def test_four_readers_of_one_worker_leave_the_others_theirs(own_castle: Besieged) -> None:
    """The others: another caller, and the same caller's credential at another address."""
    surl = await large_file(own_castle)
    url = (await own_castle.srm("prepareToGet", files=[{"surl": surl}]))["files"][0]["transferURL"]
    with ExitStack() as readers:
        lines = [readers.enter_context(slow_reader(own_castle, url, WEAK)) for _ in range(4)]
        assert 200 in await statuses(lines)
        async with own_castle.neighbour.served_well():
            pass
        async with own_castle.http.get(url) as answer:
            assert answer.status == 200
            assert len(await answer.read()) > LARGE
