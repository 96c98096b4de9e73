"""Requests to other servers: over verified TLS, to addresses that were judged, each redirect judged as the first.

Nothing that the other server says but its status, its digests, its length and its Location is looked at, and nothing
of it is told to anybody: it may hold what is no business of theirs.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from multidict import CIMultiDictProxy
from yarl import URL

from mdm_async.errors import MdmError, PeerFailed
from mdm_async.http_failures import told_as
from mdm_async.identity.system_authorities import trusting
from mdm_async.web.copying.carried import Headers
from mdm_async.web.copying.guard import Guard
from mdm_async.web.copying.other_side import OtherSide
from mdm_async.web.copying.patience import STEP, Patience

_READ_AHEAD = 256 << 10
_HOPS = 5
_ANYWHERE, _SAME_METHOD = frozenset({301, 302, 303, 307, 308}), frozenset({307, 308})
_REDIRECTS = {"GET": _ANYWHERE, "HEAD": _ANYWHERE, "PUT": _SAME_METHOD}
_MOST_FIELDS, _LINE = 128, 16 << 10
_OWN = {"Accept": "*/*", "Accept-Encoding": "identity", "User-Agent": "mdm_async"}

MEMORY = 4 * _READ_AHEAD
"""Bytes that one running request may have in memory."""
Chunk = bytes | memoryview
Body = Callable[[], AsyncGenerator[Chunk, None]]
"""The request's body, begun anew for each redirect."""


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """`remote`: the address and port that gave it."""

    status: int
    headers: CIMultiDictProxy[str]
    remote: tuple[str, int]
    _content: aiohttp.StreamReader
    _patience: Patience

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body. Raises PeerFailed when it breaks off."""
        while True:
            with told_as(PeerFailed, "the other server"):
                async with self._patience.waiting():
                    chunk = await self._content.readany()
            if not chunk:
                return
            self._patience.moved(len(chunk))
            yield chunk


@dataclass(frozen=True, slots=True)
class CopyClient:
    guard: Guard
    trusted: ssl.SSLContext | bool

    @classmethod
    def of(cls, guard: Guard, ca_directory: Path | None) -> "CopyClient":
        """One that trusts the system's authorities and those of `ca_directory` (<hash>.0)."""
        return cls(guard, trusting(ca_directory))

    @asynccontextmanager
    async def request(
        self,
        method: str,
        side: OtherSide,
        carried: Headers,
        patience: Patience,
        own: Mapping[str, str],
        body: Body | None = None,
    ) -> AsyncIterator[Answer]:
        """`carried` goes to the server that was named, and to no other that it redirects to.

        Raises PeerFailed, and as `Guard.addresses` for each server on the way; of the body, what it raises.
        """
        origin = side.origin
        for _ in range(_HOPS + 1):
            if side.origin != origin:
                carried = ()
            async with AsyncExitStack() as stack:
                connected = _Connected(await self.guard.addresses(side))
                patience.renew()
                answer = await self._asked(
                    stack, connected, method, side, [*carried, *_OWN.items(), *own.items()], patience, body
                )
                location = answer.headers.get("Location")
                if answer.status not in _REDIRECTS.get(method, ()) or location is None:
                    yield answer
                    return
            try:
                side = side.redirected(location)
            except MdmError as why:
                raise PeerFailed(why.detail) from None
        raise PeerFailed("the other server redirects without end")

    async def _asked(
        self,
        stack: AsyncExitStack,
        connected: "_Connected",
        method: str,
        side: OtherSide,
        headers: list[tuple[str, str]],
        patience: Patience,
        body: Body | None,
    ) -> Answer:
        upload = _Upload(body(), patience) if body is not None else None
        if upload is not None:
            stack.push_async_callback(upload.close)
        session = await stack.enter_async_context(self._session(connected))
        try:
            with told_as(PeerFailed, "the other server"):
                async with patience.waiting():
                    response = await session.request(
                        method,
                        side.url,
                        headers=headers,
                        data=upload.chunks() if upload is not None else None,
                        expect100=upload is not None,
                        allow_redirects=False,
                    )
        except PeerFailed:
            if upload is not None and upload.failure is not None:
                raise upload.failure from None
            raise
        stack.callback(response.close)
        patience.renew()
        return Answer(response.status, response.headers, connected.remote, response.content, patience)

    def _session(self, connected: "_Connected") -> aiohttp.ClientSession:
        """For one request. The environment's proxies are not asked, cookies not kept, nothing is decompressed."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                ssl=self.trusted,
                resolver=connected,
                socket_factory=connected.socket,
                use_dns_cache=False,
                force_close=True,
            ),
            cookie_jar=_NoCookies(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
            auto_decompress=False,
            trust_env=False,
            read_bufsize=_READ_AHEAD,
            max_line_size=_LINE,
            max_field_size=_LINE,
            max_headers=_MOST_FIELDS,
        )


class _NoCookies(aiohttp.DummyCookieJar):
    def update_cookies_from_headers(self, headers: Sequence[str], response_url: URL) -> None:
        """Not even read: aiohttp's log would tell of those that are malformed."""


@dataclass(eq=False, slots=True)
class _Connected(AbstractResolver):
    """Gives the addresses that were judged, and makes sockets for them alone."""

    addresses: Sequence[str]
    remote: tuple[str, int] = ("", 0)

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses
        ]

    def socket(self, address: tuple[Any, ...]) -> socket.socket:
        """Also of an address that stood in the URL, which is not resolved."""
        family, kind, proto, _, (host, port, *_) = address
        if host not in self.addresses:
            raise PermissionError("an address that was not judged")
        self.remote = (host, port)
        return socket.socket(family, kind, proto)

    async def close(self) -> None:
        pass


@dataclass(slots=True)
class _Upload:
    """A request's body, in steps that may each take as long as an answer."""

    body: AsyncGenerator[Chunk, None]
    patience: Patience
    failure: MdmError | None = None
    _idle: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._idle.set()

    async def chunks(self) -> AsyncGenerator[memoryview, None]:
        while (chunk := await self._next()) is not None:
            data = memoryview(chunk)
            for start in range(0, len(data), STEP):
                step = data[start : start + STEP]
                yield step
                self.patience.moved(len(step))

    async def _next(self) -> Chunk | None:
        self._idle.clear()
        try:
            return await anext(self.body, None)
        except MdmError as why:
            # aiohttp makes an error of its own of it.
            self.failure = why
            raise
        finally:
            self._idle.set()

    async def close(self) -> None:
        """Once nobody sends it any more."""
        await self._idle.wait()
        await self.body.aclose()
