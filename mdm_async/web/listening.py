"""The ports and the socket that a server listens on, and how they are drained."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog
from aiohttp import web

from mdm_async.descriptors import Descriptors
from mdm_async.errors import UnsafeSettings
from mdm_async.keys.custodians import Custodians
from mdm_async.settings import Settings
from mdm_async.watches import Beside, Watches
from mdm_async.web.admin.sealed import sealed_application
from mdm_async.web.application import application
from mdm_async.web.http.accepting import TcpSite
from mdm_async.web.http.certificate import Certificate
from mdm_async.web.http.connection import Connection
from mdm_async.web.http.connections import Connections
from mdm_async.web.http.doors import BACKLOG, Doors
from mdm_async.web.http.house import House
from mdm_async.web.http.local_site import LocalSite
from mdm_async.web.http.server import Runner

_UNWATCHED = 1.0
"""Seconds that transfers may take to end once a watch has died."""
_FEWEST = 8
_LOCAL_CONNECTIONS = 64
"""Through the socket in the data directory."""
_KEPT_ELSEWHERE = 1e6
"""Seconds: `Connections` ends who is idle, aiohttp need not."""

_log = structlog.get_logger()


def connections_for(settings: Settings) -> int:
    """How many connections from clients may be open, once the limit of open files is raised for them.

    Raises UnsafeSettings when that would be hardly any.
    """
    own, database = settings.limits, settings.database
    outwards = database.pool + database.control_pool + database.bulk_pool
    if settings.copy.hosts:
        outwards += settings.copy.running
    found = Descriptors.raised(own.connections + _LOCAL_CONNECTIONS, settings.transfers.running, outwards)
    most = found.connections - _LOCAL_CONNECTIONS
    if most < min(_FEWEST, own.connections):
        raise UnsafeSettings(
            f"the hard limit of open files is {found.most}: too few to serve anybody",
            remedy="raise it to 1024 at least (ulimit -n, LimitNOFILE of systemd, nofile of containers)",
        )
    if most < own.connections:
        _log.warning(
            "the hard limit of open files is too low for limits.connections; raise it (LimitNOFILE of systemd, "
            "nofile of containers)",
            open_files=found.most,
            connections=most,
            wanted=own.connections,
        )
    return most


async def listen(
    stack: AsyncExitStack,
    house: House,
    certificate: Certificate | None,
    watches: Watches,
    beside: Beside,
    most: int,
    doors: Doors,
) -> None:
    """Until the stack ends, which drains. `most`: connections through the ports."""
    settings = house.settings
    runner = Runner(
        application(house),
        shutdown_timeout=min(settings.server.drain_seconds, 5.0),
        handler_cancellation=True,
    )
    await runner.setup()
    connections = _connections(stack, settings, runner, most)
    # Apart: whoever fills the ports keeps no administrator from the socket.
    local = _connections(stack, settings, runner, _LOCAL_CONNECTIONS)
    beside(connections.watch())
    beside(local.watch())
    stack.push_async_callback(_drain, runner, house, settings.server.drain_seconds, watches)
    host = settings.server.host
    house.near.append(connections.near)
    house.port, house.tls_port = doors.port, doors.tls_port
    plain = TcpSite(runner, host, doors.port, connections, taken=doors.plain)
    await plain.start()
    beside(plain.accept_forever())
    if certificate is not None and doors.tls_port is not None:
        current = certificate
        beside(certificate.watch())
        house.own_names = lambda: current.names
        tls = TcpSite(
            runner,
            host,
            doors.tls_port,
            connections,
            taken=doors.tls,
            context=lambda: current.context,
            refused=house.refusals.tls_refused,
        )
        await tls.start()
        beside(tls.accept_forever())
    on_socket = LocalSite(runner, settings.data, local, backlog=BACKLOG)
    await on_socket.start()
    beside(on_socket.accept_forever())


def _connections(stack: AsyncExitStack, settings: Settings, runner: web.BaseRunner, most: int) -> Connections:
    server = runner.server
    assert server is not None

    def make(keeper: Connections, source: str) -> Connection:
        return Connection(
            keeper,
            source,
            server,
            access_log=None,
            max_line_size=settings.limits.line,
            max_field_size=settings.limits.field,
            max_headers=settings.limits.fields,
            max_head=settings.limits.head,
            keepalive_timeout=_KEPT_ELSEWHERE,
        )

    proxies = frozenset(settings.server.trusted_proxies)
    connections = Connections(settings.limits, most, settings.transfers.slowest, make, proxies)
    stack.push_async_callback(connections.end)
    return connections


async def _drain(runner: web.AppRunner, house: House, seconds: float, watches: Watches) -> None:
    """Listen no more, let running transfers finish, then cut what is left: soon, if nobody watches over it."""
    house.draining = True
    if watches.failed.is_set():
        seconds = min(seconds, _UNWATCHED)
    for site in list(runner.sites):
        await site.stop()
    # aiohttp's own shutdown drops what uploads still send, so they are waited for before it begins.
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await house.admission.idle()
    await runner.cleanup()


@asynccontextmanager
async def listening_sealed(
    settings: Settings, custodians: Custodians, certificate: Certificate | None, doors: Doors, most: int
) -> AsyncIterator[None]:
    """Tells everybody that the server is sealed, and takes custodians' shares, until the context ends."""
    async with AsyncExitStack() as stack:
        stands = stack.enter_context(doors.again())
        runner = Runner(sealed_application(custodians), shutdown_timeout=5, handler_cancellation=True)
        await runner.setup()
        beside = await stack.enter_async_context(Watches().running())
        connections = _connections(stack, settings, runner, most)
        local = _connections(stack, settings, runner, _LOCAL_CONNECTIONS)
        stack.push_async_callback(runner.cleanup)
        beside(connections.watch())
        beside(local.watch())
        sites: list[TcpSite | LocalSite] = [
            TcpSite(runner, settings.server.host, doors.port, connections, taken=stands.plain),
            LocalSite(runner, settings.data, local, backlog=BACKLOG),
        ]
        if certificate is not None and doors.tls_port is not None:
            current, port = certificate, doors.tls_port
            tls = TcpSite(
                runner,
                settings.server.host,
                port,
                connections,
                taken=stands.tls,
                context=lambda: current.context,
            )
            sites.append(tls)
        for site in sites:
            await site.start()
            beside(site.accept_forever())
        yield
