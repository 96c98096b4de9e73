"""An answer that its handler has ended with leaves whole before connections are cut."""

import asyncio
import itertools
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import trustme
from aiohttp import web

from mdm_async.web.http.connections import Connections
from tests.conftest import Server
from tests.patience import PATIENCE
from tests.web.listening import with_connections
from tests.web.raw import Line

_SIZE = 64 << 20
"""Bytes: more than the kernel keeps for a reader who does not read."""

Connect = Callable[[AsyncExitStack, bytes], AbstractAsyncContextManager[tuple[Line, Connections]]]


@pytest.fixture(params=["plain", "tls"])
def connected(request: pytest.FixtureRequest, server: Server) -> Connect:
    """A client that has asked for these bytes, and who keeps its connection until the stack ends, which drains."""
    own = others = None
    if request.param == "tls":
        own, others = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
        authority = trustme.CA()
        authority.issue_cert("127.0.0.1").configure_cert(own)
        authority.configure_trust(others)

    @asynccontextmanager
    async def connect(serving: AsyncExitStack, body: bytes) -> AsyncIterator[tuple[Line, Connections]]:
        async def answer(request: web.Request) -> web.Response:
            return web.Response(body=body)

        app = web.Application()
        app.add_routes([web.get("/", answer)])
        url, connections = await serving.enter_async_context(with_connections(app, server.house, own))
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]), ssl=others)
        line = Line(reader, writer)
        await line.send("GET / HTTP/1.1\nHost: a")
        try:
            yield line, connections
        finally:
            writer.transport.abort()

    return connect


async def test_what_waits_to_be_sent_is_waited_for(connected: Connect) -> None:
    serving = AsyncExitStack()
    async with connected(serving, bytes(_SIZE)) as (line, connections), serving:
        assert (await line.head())[0] == 200
        sent = asyncio.create_task(connections.sent())
        for count in (1, _SIZE // 2):
            await line.reader.readexactly(count)
            await asyncio.wait([sent], timeout=0.1)
            assert not sent.done()
        for connection in connections._idle:
            connections._idle[connection] -= 5  # Seconds: as if its handler had ended so long ago.
        rest = asyncio.create_task(line.rest())
        await sent
        await serving.aclose()
        assert len(await rest) == _SIZE - _SIZE // 2 - 1


async def test_a_long_answer_is_judged_by_its_pace_also_when_its_handler_has_ended(
    connected: Connect,
) -> None:
    async with AsyncExitStack() as serving, connected(serving, bytes(_SIZE)) as (line, connections):
        assert (await line.head())[0] == 200
        limits = connections.limits

        def kept_past_its_time() -> bool:
            for waiting, seconds in (
                (connections._idle, limits.idle_seconds),
                (connections._busy, limits.pace_seconds),
            ):
                for connection in waiting:
                    waiting[connection] -= seconds
            connections._look()
            return bool(connections._idle or connections._busy)

        for count in (1, _SIZE // 4, _SIZE // 4):
            await line.reader.readexactly(count)
            assert kept_past_its_time()
        assert not kept_past_its_time()


async def test_nobody_who_comes_takes_the_place_of_an_answer_on_its_way(connected: Connect) -> None:
    async with AsyncExitStack() as serving, connected(serving, bytes(_SIZE)) as (line, connections):
        assert (await line.head())[0] == 200
        connections.most = 1
        for _ in range(2):
            await line.reader.readexactly(_SIZE // 4)
            assert connections.admit("127.0.0.1") is None
        assert len(await line.reader.readexactly(_SIZE // 2)) == _SIZE // 2
        await connections.sent()
        newcomer = connections.admit("127.0.0.1")
        assert newcomer is not None
        connections.ended(newcomer)


async def test_who_does_not_look_at_a_long_answer_is_waited_for_no_longer_than_that(
    connected: Connect,
) -> None:
    serving = AsyncExitStack()
    async with connected(serving, bytes(1 << 20)) as (line, connections), serving, asyncio.timeout(PATIENCE):
        await line.head()
        await connections.sent()
        await serving.aclose()


async def test_who_has_a_short_answer_is_not_waited_for(connected: Connect) -> None:
    serving = AsyncExitStack()
    async with connected(serving, b"a") as (line, connections), serving, asyncio.timeout(PATIENCE):
        await line.answer()
        await connections.sent()
        await connections.closed(600)


class _InTurns:
    """Unsent bytes every other time that somebody looks."""

    def __init__(self, *looks: bool) -> None:
        self._looks = itertools.cycle(looks)

    @property
    def has_unsent(self) -> bool:
        return next(self._looks)


async def test_what_is_answered_later_is_not_waited_for(server: Server) -> None:
    async with with_connections(web.Application(), server.house) as (_, connections):
        turns: Any = {_InTurns(True, False), _InTurns(False, True)}
        before, connections._all = connections._all, turns
        async with asyncio.timeout(PATIENCE):
            await connections.sent()
        connections._all = before
