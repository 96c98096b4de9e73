"""The ports and the socket that a server listens on, and how they are drained."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import structlog
from aiohttp import web

from mdm_async.descriptors import Descriptors
from mdm_async.errors import UnsafeSettings
from mdm_async.pacs.dimse.newcomers import SPARE
from mdm_async.settings import LimitSettings, Settings
from mdm_async.watches import Beside, Watches
from mdm_async.web.application import application
from mdm_async.web.http.accepting import Refused, TcpSite
from mdm_async.web.http.at_once import AtOnce
from mdm_async.web.http.certificate import Certificate
from mdm_async.web.http.connection import Connection
from mdm_async.web.http.connections import Connections
from mdm_async.web.http.doors import BACKLOG, Doors
from mdm_async.web.http.house import House
from mdm_async.web.http.local_site import LocalDoor, LocalSite
from mdm_async.web.http.server import Runner

_UNWATCHED = 1.0
"""Seconds that transfers may take to end once a watch has died."""
_LAST_BYTES = 5.0
"""Seconds at most that requests have to end, and then clients to take the last bytes in, before connections are cut."""
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
    if settings.pacs.port is not None:
        outwards += settings.pacs.associations + SPARE
    outwards += sum(source.max_associations for source in settings.pacs.sources)
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


class Listening:
    """The ports and the socket of a server, open for as long as it runs; which application answers there may change.

    No connection is cut or refused for that: those that are open are answered by the next one from then on.
    """

    def __init__(
        self,
        settings: Settings,
        doors: Doors,
        local: LocalDoor,
        certificate: Certificate | None,
        most: int,
        watches: Watches,
        beside: Beside,
    ) -> None:
        """`most`: connections through the ports. With `doors.tls` there is a certificate."""
        self.port, self.tls_port = doors.port, doors.tls_port
        self._settings, self._doors, self._certificate = settings, doors, certificate
        self._local_door = local
        self._cut_after = min(settings.server.drain_seconds, _LAST_BYTES)
        self._watches, self._beside = watches, beside
        self._runner: Runner | None = None
        limits = settings.limits
        self._connections = self._kept(limits, most)
        # Apart: whoever fills the ports keeps no administrator from the socket. All who come there are one source.
        self._local = self._kept(limits.model_copy(update={"share": 1.0}), _LOCAL_CONNECTIONS)
        self._at_once: AtOnce | None = None
        self._refused: Refused = lambda _source, _why: None

    async def answer(self, app: web.Application) -> None:
        """Whoever asks from now on, on whatever connection, is answered by this."""
        self._at_once = None
        if self._runner is not None:
            await self._runner.change(app)
            return
        self._runner = Runner(app, shutdown_timeout=self._cut_after, handler_cancellation=True)
        await self._runner.setup()
        self._beside(self._connections.watch())
        self._beside(self._local.watch())
        for site in self._sites(self._runner):
            await site.start()
            self._beside(site.accept_forever())

    async def serve(self, stack: AsyncExitStack, house: House) -> None:
        """Until the stack ends, which drains."""
        house.near.append(self._connections.near)
        house.port, house.tls_port = self.port, self.tls_port
        if self._certificate is not None:
            current = self._certificate
            house.own_names = lambda: current.names
            self._refused = house.refusals.tls_refused
        stack.push_async_callback(self._drain, house)
        await self.answer(application(house))
        self._at_once = AtOnce(house)

    async def _drain(self, house: House) -> None:
        """Listen no more, let running transfers finish, then cut what is left: soon, if nobody watches over it."""
        house.draining = True
        seconds = self._settings.server.drain_seconds
        if self._watches.failed.is_set():
            seconds = min(seconds, _UNWATCHED)
        for site in list(self._runner.sites) if self._runner is not None else []:
            await site.stop()
        # aiohttp's own shutdown drops what uploads still send, so they are waited for before it begins.
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await house.admission.idle()
                await self._connections.sent()
                await self._local.sent()
        await self.end()

    async def end(self) -> None:
        """Once more does nothing."""
        if self._runner is not None and self._runner.server is not None:
            await self._runner.cleanup()
            await self._connections.closed(self._cut_after)
        await self._local.end()
        await self._connections.end()

    def _sites(self, runner: Runner) -> Iterator[TcpSite | LocalSite]:
        host, certificate = self._settings.server.host, self._certificate
        yield TcpSite(runner, host, self.port, self._connections, taken=self._doors.plain)
        if certificate is not None and self.tls_port is not None:
            self._beside(certificate.watch())
            yield TcpSite(
                runner,
                host,
                self.tls_port,
                self._connections,
                taken=self._doors.tls,
                context=lambda: certificate.context,
                refused=lambda source, why: self._refused(source, why),
            )
        yield LocalSite(runner, self._local_door, self._local)

    def _answered_at_once(self, connection: Connection, data: bytes) -> bool:
        return self._at_once is not None and self._at_once.answer(connection, data)

    def _kept(self, limits: LimitSettings, most: int) -> Connections:
        def make(keeper: Connections, source: str) -> Connection:
            assert self._runner is not None
            server = self._runner.server
            assert server is not None
            return Connection(
                keeper,
                source,
                server,
                self._answered_at_once,
                access_log=None,
                max_line_size=limits.line,
                max_field_size=limits.field,
                max_headers=limits.fields,
                max_head=limits.head,
                keepalive_timeout=_KEPT_ELSEWHERE,
            )

        proxies = frozenset(self._settings.server.trusted_proxies)
        return Connections(limits, most, self._settings.transfers.slowest, make, proxies)


@asynccontextmanager
async def listening(
    settings: Settings,
    certificate: Certificate | None,
    most: int,
    watches: Watches,
    given: tuple[Doors, LocalDoor] | None = None,
) -> AsyncIterator[Listening]:
    """Takes the ports and the socket, unless they are given. Raises UnsafeSettings when one cannot be had."""
    async with AsyncExitStack() as stack:
        doors, local = given or await taken(stack, settings, tls=certificate is not None)
        for each in (doors, local):
            stack.enter_context(each)
        beside = await stack.enter_async_context(watches.running())
        own = Listening(settings, doors, local, certificate, most, watches, beside)
        stack.push_async_callback(own.end)
        yield own


async def taken(stack: AsyncExitStack, settings: Settings, *, tls: bool) -> tuple[Doors, LocalDoor]:
    """The ports and the socket in the data directory, listening, as long as the stack. Raises UnsafeSettings."""
    doors = stack.enter_context(await Doors.open(settings.server, tls=tls))
    return doors, stack.enter_context(LocalDoor.open(settings.data, BACKLOG))
