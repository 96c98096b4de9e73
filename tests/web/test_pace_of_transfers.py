"""Transfer URLs keep a reader to a pace: one that takes nothing is cut, and no other."""

import asyncio

import pytest

from mdm_async.web.http import pace
from tests.conftest import Server
from tests.faults.conditions import until
from tests.faults.transfers import LARGE, downloads, stored_file
from tests.faults.wire import begun

DELIVERIES = pytest.mark.parametrize("sealed", [False, True], ids=["clear", "sealed"])


@DELIVERIES
async def test_a_reader_who_takes_nothing_is_cut(
    server: Server, monkeypatch: pytest.MonkeyPatch, sealed: bool
) -> None:
    monkeypatch.setattr(pace, "_PERIOD", 0.2)
    line = await (await stored_file(server)).prepare(sealed=sealed)
    async with begun("GET", line["transferURL"], buffer=8192) as client:
        assert (await client.head())[0] == 200
        await until(lambda: downloads() == 0)
        assert len(await client.rest()) < LARGE


@DELIVERIES
async def test_a_slow_reader_is_not(server: Server, monkeypatch: pytest.MonkeyPatch, sealed: bool) -> None:
    """Slower than a piece in a period: what has left for the socket counts, not what was begun or finished."""
    monkeypatch.setattr(pace, "_PERIOD", 0.4)
    line = await (await stored_file(server)).prepare(sealed=sealed)
    taken = 0
    async with begun("GET", line["transferURL"], buffer=8192) as client:
        await client.head()
        while taken < line["fileSize"]:
            step = min(400_000, line["fileSize"] - taken)
            taken += len(await client.reader.readexactly(step))
            await asyncio.sleep(0.04)  # the slowness
    await until(lambda: downloads() == 0)
