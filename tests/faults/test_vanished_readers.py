"""Clients that vanish in the middle of a download: the pipeline stops and nothing of it stays."""

import asyncio
import random

import pytest
from structlog.typing import EventDict

from tests.conftest import Server
from tests.faults.conditions import descriptors, open_blobs, until
from tests.faults.transfers import File, downloads
from tests.faults.wire import begun

MIB = 1 << 20


@pytest.mark.parametrize("sealed", [False, True], ids=["clear", "sealed"])
@pytest.mark.parametrize("taken", [0, 1, 3 * MIB])
async def test_a_reader_that_vanishes_stops_its_transfer(
    server: Server, large_file: File, quiet: list[EventDict], sealed: bool, taken: int
) -> None:
    url = (await large_file.prepare(sealed=sealed))["transferURL"]
    async with begun("GET", url, buffer=8192) as client:
        status, _ = await client.head()
        assert status == 200
        if taken:
            await client.reader.readexactly(taken)
        await until(lambda: downloads() == 1)
        await until(lambda: open_blobs(server.data))
        client.vanish()
    await until(lambda: downloads() == 0)
    await until(lambda: not open_blobs(server.data))
    assert (await server.call("GET", url, headers={"Range": "bytes=0-99"})).status == 206


async def test_readers_that_vanish_at_random_moments_leave_no_descriptor(
    server: Server, large_file: File, quiet: list[EventDict]
) -> None:
    chance = random.Random(3)
    urls = [(await large_file.prepare(sealed=sealed))["transferURL"] for sealed in (False, True)]

    async def vanishing() -> None:
        start = chance.randrange(20 * MIB)
        asked = (
            f"bytes={start}-{start + 4 * MIB},{start + 1}-" if chance.random() < 0.3 else f"bytes={start}-"
        )
        async with begun("GET", chance.choice(urls), buffer=8192, Range=asked) as client:
            reading = asyncio.ensure_future(client.rest())
            await asyncio.sleep(chance.uniform(0, 0.1))  # the moment is the test
            client.vanish()
            await asyncio.gather(reading, return_exceptions=True)

    async def many() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(12):
                group.create_task(vanishing())
        await until(lambda: downloads() == 0)
        await until(lambda: not open_blobs(server.data))

    await many()  # what is opened once, such as connections to the database, is open now
    before = descriptors()
    for _ in range(3):
        await many()
    await until(lambda: descriptors() <= before)
