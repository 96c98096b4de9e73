"""An application of the tests' own on a port of its own, with connections as the server has them."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from mdm_async.web.http.accepting import TcpSite
from mdm_async.web.http.connection import Connection, Keeper
from mdm_async.web.http.connections import Connections
from mdm_async.web.http.house import House
from mdm_async.web.http.server import Runner


@asynccontextmanager
async def listening(app: web.Application, house: House) -> AsyncIterator[str]:
    """Its URL."""
    async with with_connections(app, house) as (url, _):
        yield url


@asynccontextmanager
async def with_connections(
    app: web.Application, house: House, tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, Connections]]:
    """Its URL, and who keeps its connections."""
    runner = Runner(app, handler_cancellation=True, shutdown_timeout=1)
    await runner.setup()
    limits, server = house.settings.limits, runner.server
    assert server is not None

    def make(keeper: Keeper, source: str) -> Connection:
        return Connection(keeper, source, server, access_log=None, max_head=limits.head)

    connections = Connections(limits, 100, house.settings.transfers.slowest, make)
    watching = asyncio.create_task(connections.watch())
    try:
        context = None if tls is None else lambda: tls
        await TcpSite(runner, "127.0.0.1", 0, connections, context=context).start()
        yield f"{'http' if tls is None else 'https'}://127.0.0.1:{runner.addresses[0][1]}", connections
    finally:
        watching.cancel()
        await runner.cleanup()
        await connections.closed(1)
        await connections.end()
