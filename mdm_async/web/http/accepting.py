"""Listens, and lets those in who may come, through the TLS handshake if there is one."""

import asyncio
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import cast

import structlog
from aiohttp import web

from mdm_async.web.http.connection import Connection
from mdm_async.web.http.connections import Connections
from mdm_async.web.http.tls import reason

Refused = Callable[[str, str], None]
"""Told the client's address and why the handshake failed."""

_ACCEPT_AGAIN_AFTER = 0.2
_TELL_EVERY = 60.0
_FULL = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 10\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

_log = structlog.get_logger()


class Accepting:
    """An `asyncio.AbstractServer` as far as aiohttp's sites need one."""

    def __init__(
        self,
        listeners: list[socket.socket],
        connections: Connections,
        context: Callable[[], ssl.SSLContext] | None = None,
        refused: Refused = lambda _source, _why: None,
    ) -> None:
        """`context` is asked at each connection, so that it may change; None: there is no TLS."""
        self.sockets = listeners
        self._connections = connections
        self._context, self._refused = context, refused
        self._opening: set[asyncio.Task[None]] = set()
        self._told = -_TELL_EVERY
        loop = asyncio.get_running_loop()
        self._accepting = [loop.create_task(self._accept(listener)) for listener in listeners]

    @property
    def server(self) -> asyncio.AbstractServer:
        return cast("asyncio.AbstractServer", self)

    async def forever(self) -> None:
        """Return never: raises what ended the accepting. Cancelled, it ends that."""
        await asyncio.gather(*self._accepting)

    async def stop(self) -> None:
        """Accept no more, and drop those whose transport is not made."""
        tasks = [*self._accepting, *self._opening]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def close(self) -> None:
        for listener in self.sockets:
            listener.close()
        self.sockets = []

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # A connection that is there already is accepted without a wait; others must have their turn.
            await asyncio.sleep(0)
            try:
                accepted, address = await loop.sock_accept(listener)
            except ConnectionError:
                continue  # The client went away before its turn.
            except OSError as why:
                self._tell(why)
                if not self._connections.give_way():
                    await asyncio.sleep(_ACCEPT_AGAIN_AFTER)
                continue
            source = str(address[0]) if isinstance(address, tuple) else ""
            connection = self._connections.admit(source)
            if connection is None:
                self._turn_away(accepted)
                continue
            task = loop.create_task(self._open(accepted, connection, source))
            connection.opening = task
            self._opening.add(task)
            task.add_done_callback(partial(self._opened, connection, accepted))

    def _turn_away(self, accepted: socket.socket) -> None:
        with accepted:
            if self._context is None:
                try:
                    accepted.send(_FULL)
                except OSError:
                    return  # It may not wait for anybody.

    async def _open(self, accepted: socket.socket, connection: Connection, source: str) -> None:
        loop = asyncio.get_running_loop()
        context = self._context() if self._context is not None else None
        # Not its own end of the wait: whoever does not come to a request is cut for that.
        timeout = {"ssl_handshake_timeout": 2 * self._connections.limits.head_seconds} if context else {}
        try:
            await loop.connect_accepted_socket(lambda: connection, accepted, ssl=context, **timeout)
        except ssl.SSLEOFError:
            pass  # The client went away.
        except ssl.SSLError as why:
            self._refused(source, reason(why))
        except OSError:
            pass  # The client went away, or took too long.

    def _opened(self, connection: Connection, accepted: socket.socket, task: asyncio.Task[None]) -> None:
        # As a callback, for a task may be cancelled before it begins.
        self._opening.discard(task)
        connection.opening = None
        if not connection.was_made:
            self._connections.ended(connection)
            accepted.close()

    def _tell(self, why: OSError) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told >= _TELL_EVERY:
            self._told = now
            _log.error(
                "connections cannot be accepted; those that wait longest give way",
                reason=why.strerror or str(why),
            )


def _listeners(addresses: list[tuple[int, tuple[str, int]]], backlog: int) -> list[socket.socket]:
    """Raises OSError when one of them cannot be had."""
    found: list[socket.socket] = []
    try:
        for family, address in addresses:
            listener = socket.create_server(address, family=family, backlog=backlog)
            found.append(listener)
            listener.setblocking(False)
    except BaseException:
        for listener in found:
            listener.close()
        raise
    return found


async def listeners(host: str, port: int, backlog: int) -> list[socket.socket]:
    """One for each address of the host. Raises OSError when one of them cannot be had."""
    return _listeners(await _addresses(host, port), backlog)


async def _addresses(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    """The families and addresses of a host, each once."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((int(family), (str(to[0]), int(to[1]))) for family, _, _, _, to in found))


class TcpSite(web.BaseSite):
    """A TCP port, with TLS if there is a `context`. `taken`: its listening sockets, where somebody has it already."""

    def __init__(
        self,
        runner: web.BaseRunner,
        host: str,
        port: int,
        connections: Connections,
        *,
        backlog: int = 128,
        taken: list[socket.socket] | None = None,
        context: Callable[[], ssl.SSLContext] | None = None,
        refused: Refused = lambda _source, _why: None,
    ) -> None:
        super().__init__(runner, backlog=backlog)
        self._taken = taken
        self._host, self._port, self._connections = host, port, connections
        self._context, self._refused = context, refused
        self._accepting: Accepting | None = None

    @property
    def name(self) -> str:
        return f"{'http' if self._context is None else 'https'}://{self._host}:{self._port}"

    async def start(self) -> None:
        """Raises OSError when the address cannot be had."""
        await super().start()
        found = self._taken or await listeners(self._host, self._port, self._backlog)
        self._accepting = Accepting(found, self._connections, self._context, self._refused)
        self._server = self._accepting.server

    async def accept_forever(self) -> None:
        """To be watched, once it was started: without it nobody comes in, and nobody would know."""
        assert self._accepting is not None
        await self._accepting.forever()

    async def stop(self) -> None:
        if self._accepting is not None:
            await self._accepting.stop()
        await super().stop()
