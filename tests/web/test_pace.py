"""A reader that hardly reads is cut; one that reads is not."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mdm_async.web.http import pace
from mdm_async.web.http.pace import Pace


@pytest.fixture
async def wire() -> AsyncIterator[tuple[asyncio.Transport, asyncio.StreamReader]]:
    """The server's transport and its client's end."""
    met = asyncio.get_running_loop().create_future()

    def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.set_result(writer)

    async with await asyncio.start_server(accept, "127.0.0.1", 0) as server:
        reader, client = await asyncio.open_connection(*server.sockets[0].getsockname())
        yield (await met).transport, reader
        client.close()
        (await met).close()


async def test_a_reader_that_takes_nothing_is_cut(wire, monkeypatch):
    monkeypatch.setattr(pace, "_PERIOD", 0.05)
    transport, reader = wire
    with Pace(transport, slowest=1000):
        async with asyncio.timeout(10):
            assert await reader.read() == b""
    assert transport.is_closing()


async def test_a_reader_that_keeps_the_pace_is_not(wire, monkeypatch):
    monkeypatch.setattr(pace, "_PERIOD", 0.05)
    transport, _ = wire
    with Pace(transport, slowest=1000) as watched:
        for _ in range(5):
            watched.sent(1_000_000)
            await asyncio.sleep(0.05)
    assert not transport.is_closing()
