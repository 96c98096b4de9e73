"""One caller's requests for many files hardly touch another's requests, and what is refused leaves nothing."""

import asyncio
from collections import Counter
from statistics import median

import aiohttp
import asyncpg
import pytest

from tests.siege.attacks_callers import loops, own_files
from tests.siege.besieged import Besieged


async def test_64_loops_of_200_files_each_leave_the_neighbour_his_pace(castle: Besieged) -> None:
    """It was 1.5 to 2.0 s for each of his requests, a hundred times what they take when all is calm."""
    files = await own_files(castle)
    async with castle.neighbour.served_well(least=20):
        pass
    calm = median(wait for _, wait in castle.neighbour.waits)
    async with castle.neighbour.served_well(least=20), loops(castle, files) as answered:
        await asyncio.sleep(3)
    assert set(answered) <= {200, 429}
    assert median(wait for _, wait in castle.neighbour.waits) < 20 * calm


async def grants(castle: Besieged) -> int:
    connection = await asyncpg.connect(castle.dsn)
    try:
        return int(await connection.fetchval("select count(*) from grants"))
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("operation", "source"),
    [("prepareToGet", "127.0.0.4"), ("prepareToPut", "127.0.0.5"), ("bringOnline", "127.0.0.6")],
)
async def test_what_is_refused_as_a_whole_leaves_no_row(
    castle: Besieged, operation: str, source: str
) -> None:
    """Three anonymous requests left 27,000."""
    before = await grants(castle)
    name = "x" * 100
    connector = aiohttp.TCPConnector(local_addr=(source, 0))
    async with castle.neighbour.served_well(), aiohttp.ClientSession(connector=connector) as http:
        for number in range(3):
            files = [{"surl": f"{castle.ground}/{name}{number}-{file}"} for file in range(300)]
            async with http.post(f"{castle.url}/srm/v2/{operation}", json={"files": files}) as answer:
                tree = await answer.json()
                assert answer.status in (401, 403, 404), tree
                assert "requestToken" not in tree
    # The neighbour's own, one for each of his cycles.
    cycles = sum(name == "cycle" for name, _ in castle.neighbour.waits)
    assert await grants(castle) == before + cycles


async def test_who_shows_no_credential_is_refused_at_once_when_he_asks_too_often(castle: Besieged) -> None:
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.3", 0))
    answered = Counter[int]()
    async with aiohttp.ClientSession(connector=connector) as http:

        async def ask(_: int) -> None:
            url = f"{castle.url}/srm/v2/prepareToGet"
            files = [{"surl": f"{castle.ground}/{number}"} for number in range(100)]
            async with http.post(url, json={"files": files}) as answer:
                answered[answer.status] += 1
                if answer.status == 429:
                    assert int(answer.headers["Retry-After"]) >= 1

        async with castle.neighbour.served_well():
            await asyncio.gather(*map(ask, range(40)))
    assert answered[429] >= 20
    assert answered[429] < 40


@pytest.mark.settings(limits__outstanding="80", transfers__max_bulk="20")
async def test_what_is_outstanding_is_bounded_for_each_caller(own_castle: Besieged) -> None:
    files = (await own_files(own_castle))[:8]
    first = await own_castle.srm("prepareToGet", files=files)
    assert await own_castle.attack("prepareToGet", files=files) == 200
    assert await own_castle.attack("prepareToGet", files=files) == 429
    async with own_castle.neighbour.served_well():
        pass
    await own_castle.srm("releaseFiles", requestToken=first["requestToken"])
    assert await own_castle.attack("prepareToGet", files=files) == 200
