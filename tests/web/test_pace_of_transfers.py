"""Transfer URLs keep a reader to a pace: one that takes nothing is cut, and no other."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.faults.conditions import until
from tests.faults.transfers import LARGE, downloads, stored_file
from tests.faults.wire import begun
from tests.postgres.for_tests import PostgresForTests
from tests.web.hasty import HastyServer, hasty_server, keeping_the_pace

DELIVERIES = pytest.mark.parametrize("sealed", [False, True], ids=["clear", "sealed"])


@pytest.fixture(scope="module")
async def server(
    postgres: PostgresForTests, migrated: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[HastyServer]:
    dsn = await postgres.fresh_database(migrated)
    async with hasty_server(tmp_path_factory.mktemp("pace") / "data", dsn) as running:
        yield running


@DELIVERIES
async def test_a_reader_who_takes_nothing_is_cut(server: HastyServer, sealed: bool) -> None:
    line = await (await stored_file(server)).prepare(sealed=sealed)
    async with begun("GET", line["transferURL"], buffer=8192) as client:
        assert (await client.head())[0] == 200
        with server.hasty(pace_seconds=0.4):
            await until(lambda: downloads() == 0)
        assert len(await client.rest()) < LARGE


@DELIVERIES
async def test_a_slow_reader_is_not(server: HastyServer, sealed: bool) -> None:
    """Slower than a piece in a period: what has left for the socket counts, not what was begun or finished."""
    line = await (await stored_file(server)).prepare(sealed=sealed)

    async def is_read() -> bool:
        taken = 0
        async with begun("GET", line["transferURL"], buffer=8192) as client:
            await client.head()
            with server.hasty(pace_seconds=0.4):
                while taken < line["fileSize"]:
                    step = min(400_000, line["fileSize"] - taken)
                    taken += len(await client.reader.readexactly(step))
                    await asyncio.sleep(0.04)  # the slowness
        return True

    assert await keeping_the_pace(is_read)
    await until(lambda: downloads() == 0)


async def test_a_body_that_keeps_pace_is_cut_when_it_has_taken_too_long(server: HastyServer) -> None:
    async with begun("POST", f"{server.url}/srm/v2/ls", Content_Length="60000") as client:

        async def sent() -> None:
            for _ in range(190):
                await client.send(b" " * 300)
                await asyncio.sleep(0.05)  # the slowness

        with server.hasty(pace_seconds=0.4, body_seconds=1.0), pytest.raises(ConnectionError):
            await sent()


@DELIVERIES
async def test_what_waits_for_a_reader_is_held_against_the_budget(server: HastyServer, sealed: bool) -> None:
    """A sealed stream goes from its file to the socket, and nothing of it waits in memory."""

    def held() -> int:
        return sum(near.used for near in server.house.budget.near())

    line = await (await stored_file(server)).prepare(sealed=sealed)
    async with begun("GET", line["transferURL"], buffer=8192) as client:
        await client.head()
        # The piece that is sent, and the one ahead: what fills the buffers of sockets may go before they stand still.
        await until(lambda: held() == (0 if sealed else 2 << 20))
        with server.hasty(pace_seconds=0.4):
            await until(lambda: downloads() == 0)
    await until(lambda: held() == 0)
