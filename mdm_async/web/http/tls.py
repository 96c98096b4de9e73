"""A listener for TLS that tells whom it refused in the handshake, and why.

OpenSSL refuses a bad certificate before there is any HTTP; an ordinary listener of asyncio keeps that to itself.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import structlog
from aiohttp import web

Refused = Callable[[str, str], None]
"""Told the client's address and the reason."""

_HANDSHAKE_SECONDS = 15.0
_HANDSHAKES = 512
"""At the same time; who comes then waits to be accepted."""
_HURRIED_SECONDS = 3.0
"""What a handshake may take while others wait, so that who only connects keeps nobody out."""
_ACCEPT_AGAIN_AFTER = 1.0

_log = structlog.get_logger()

_REASONS = {
    2: "the certificate is of an unknown authority",
    7: "a certificate in the chain has a bad signature",
    9: "the certificate is not yet valid",
    10: "the certificate has expired",
    18: "the certificate is of an unknown authority",
    19: "the certificate is of an unknown authority",
    20: "the certificate is of an unknown authority",
    21: "the certificate is of an unknown authority",
    24: "the certificate was signed by one that is no authority",
    25: "an authority was signed by one that may not sign authorities",
    26: "the certificate is not one of a client",
    34: "a certificate in the chain has a critical extension that is not understood",
    38: "a proxy was signed by one that may not sign proxies",
    39: "a proxy was signed by one that may not sign",
    40: "proxies are not taken",
    79: "the certificate was signed by one that is no authority",
}
"""By OpenSSL's numbers (X509_V_ERR_…)."""


class TlsSite(web.BaseSite):
    """Accepts connections, and gives those whose handshake succeeds to the runner's HTTP server."""

    def __init__(
        self,
        runner: web.BaseRunner,
        host: str,
        port: int,
        context: Callable[[], ssl.SSLContext],
        refused: Refused,
        *,
        backlog: int = 128,
    ) -> None:
        """`context` is asked at each connection, so that it may change."""
        super().__init__(runner, backlog=backlog)
        self._host, self._port = host, port
        self._context = context
        self._refused = refused
        self._accepting: list[asyncio.Task[None]] = []
        """One for each address."""
        self._shaking: dict[asyncio.Task[None], float] = {}
        """The handshakes that run and when they began, the oldest first."""
        self._ended = asyncio.Event()
        """One of them ended."""

    @property
    def name(self) -> str:
        return f"https://{self._host}:{self._port}"

    async def start(self) -> None:
        """Raises OSError when the address cannot be had."""
        await super().start()
        listeners = _Listeners(await _addresses(self._host, self._port), self._backlog)
        self._server = cast("asyncio.AbstractServer", listeners)
        loop = asyncio.get_running_loop()
        self._accepting = [loop.create_task(self._accept(listener)) for listener in listeners.sockets]

    async def stop(self) -> None:
        """Accept no more, and drop those who are still shaking hands."""
        tasks = [*self._accepting, *self._shaking]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await super().stop()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            # A connection that is there already is accepted without a wait; others must have their turn.
            await asyncio.sleep(0)
            await self._room()
            try:
                connection, address = await loop.sock_accept(listener)
            except ConnectionError:
                continue  # The client went away before its turn.
            except OSError as why:
                # Too many open files, for instance: what is open must first end.
                _log.warning("a connection could not be accepted", kind=type(why).__name__)
                await asyncio.sleep(_ACCEPT_AGAIN_AFTER)
                continue
            task = loop.create_task(self._shake_hands(connection, str(address[0])))
            self._shaking[task] = loop.time()
            task.add_done_callback(self._end)

    async def _room(self) -> None:
        """Wait until one more handshake may run."""
        while len(self._shaking) >= _HANDSHAKES:
            oldest, since = next(iter(self._shaking.items()))
            left = since + _HURRIED_SECONDS - asyncio.get_running_loop().time()
            if left <= 0:
                oldest.cancel()
            self._ended.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), left if left > 0 else None)

    def _end(self, task: asyncio.Task[None]) -> None:
        del self._shaking[task]
        self._ended.set()

    async def _shake_hands(self, connection: socket.socket, source: str) -> None:
        http = self._runner.server
        if http is None:
            connection.close()
            return
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                http, connection, ssl=self._context(), ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )
        except ssl.SSLEOFError:
            pass  # The client went away.
        except ssl.SSLError as why:
            self._refused(source, reason(why))
        except OSError:
            pass  # The client went away, or took too long.


class _Listeners:
    """The listening sockets, as aiohttp's runner wants to see them."""

    def __init__(self, addresses: list[tuple[int, tuple[str, int]]], backlog: int) -> None:
        self.sockets: list[socket.socket] = []
        try:
            for family, address in addresses:
                listener = socket.create_server(address, family=family, backlog=backlog)
                self.sockets.append(listener)
                listener.setblocking(False)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        for listener in self.sockets:
            listener.close()
        self.sockets = []


async def _addresses(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    """The families and addresses of a host, each once."""
    found = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return list(dict.fromkeys((int(family), (str(to[0]), int(to[1]))) for family, _, _, _, to in found))


def reason(why: ssl.SSLError) -> str:
    """In plain words, for the audit."""
    if isinstance(why, ssl.SSLCertVerificationError):
        return _REASONS.get(why.verify_code, f"the certificate was refused: {why.verify_message}")
    return "the TLS handshake failed"
