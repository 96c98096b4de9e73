"""An answer that its handler has ended with leaves whole before connections are cut."""

import asyncio

from aiohttp import web

from tests.conftest import Server
from tests.web.listening import with_connections

_SIZE = 64 << 20
"""Bytes: more than the kernel keeps for a reader who does not read."""


async def test_what_waits_to_be_sent_is_waited_for(server: Server) -> None:
    async def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.write(bytes(_SIZE))
        return web.Response()

    app = web.Application()
    app.add_routes([web.get("/", answer)])
    async with with_connections(app, server.house) as (url, connections):
        port = int(url.rsplit(":", 1)[1])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await reader.readexactly(1)
        sent = asyncio.create_task(connections.sent())
        await asyncio.wait([sent], timeout=0.1)
        assert not sent.done()
        await reader.readexactly(_SIZE - 1)
        await sent
        await connections.end()
        assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
        writer.close()
