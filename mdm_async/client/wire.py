"""One HTTP session with one server: calls that carry the credential, and transfers that must not.

The credential goes to the server's own URL and nowhere else; a redirect there is refused. A transfer may be
redirected, each hop under the channel rule. Every failure leaves here as one of `errors`.
"""

import errno
import os
import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson
from yarl import URL

from mdm_async.client.channel import demand_confidential, demand_transfer_channel, parse_url
from mdm_async.client.local_server import LocalServer
from mdm_async.client.patience import OnWait, Patience
from mdm_async.client.srm_reply import Reply
from mdm_async.client.told_errors import PASSING, Json, error_from_problem
from mdm_async.errors import (
    BadRequest,
    InsecureChannel,
    MdmError,
    NotSupported,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    Unreachable,
    Untrusted,
    WrongContent,
)

ATTEMPTS: Final = 4
_ONCE: Final = frozenset({"mkdir", "rmdir", "rm", "mv", "prepareToPut"})
"""Operations that are not repeated once the server may have seen them."""
_REDIRECTS: Final = frozenset({301, 302, 307, 308})
_MAX_HOPS: Final = 5
_TOKEN: Final = re.compile(r"[!-~]+")
_NAME_IT: Final = "name the server with --url or MDM_URL, or on its own machine with --data"
_MAX_PROBLEM: Final = 64 * 1024
_ON_SOCKET: Final = 16
"""Connections at once of a client on the server's machine: those that its socket takes are for all clients together."""
_CONNECT_SECONDS: Final = 10
_CALL_SECONDS: Final = 120
_OPERATE_SECONDS: Final = 3600
_GET_SECONDS: Final = 60
_PUT_SECONDS: Final = 600
"""How long nothing may come; an upload is answered when it is stored and de-identified."""


class Wire:
    """An async context manager around the session to `base`.

    `named`: somebody said that it is this server; else anybody may listen there. `ca` (PEM) is trusted besides the
    system's store, which SSL_CERT_FILE replaces. `attempts` bounds the tries of a call that may be repeated, `longest`
    the bytes of an answer.
    """

    def __init__(
        self,
        base: URL,
        token: str | None,
        *,
        local: LocalServer | None = None,
        named: bool = True,
        ca: Path | None = None,
        connections: int = 64,
        attempts: int = ATTEMPTS,
        longest: float = float("inf"),
    ) -> None:
        if token is not None and not _TOKEN.fullmatch(token):
            raise Unauthenticated("the token holds characters that no token has")
        self.base = base
        self.attempts = attempts
        self.on_wait: OnWait | None = None
        """Told when the server says "later"."""
        self.place = f"the server of {local.directory}" if local is not None else str(base.origin())
        """What to call the server."""
        self._token = token
        self._local, self._named = local, named
        self._stack = ExitStack()
        self._ca = ca
        self._connections = connections
        self._longest = longest
        self._session: aiohttp.ClientSession | None = None

    def __repr__(self) -> str:
        return f"<Wire to {self.place}>"

    async def __aenter__(self) -> Self:
        connector: aiohttp.BaseConnector
        if self._local is not None:
            path = self._stack.enter_context(self._local.socket())
            connector = aiohttp.UnixConnector(path, limit=min(self._connections, _ON_SOCKET))
        else:
            # For a server without TLS what aiohttp has read will do: to read it again takes as long as many calls.
            without = self._ca is None and self.base.scheme == "http"
            connector = aiohttp.TCPConnector(limit=self._connections, ssl=without or _tls(self._ca))
        # No cookies, no proxy from the environment, no decoding of what must arrive byte for byte.
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=["Accept-Encoding"],
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None
        self._stack.close()

    def demand_named(self, what: str) -> None:
        """InsecureChannel where the server could be anybody on this machine."""
        if not self._named:
            raise InsecureChannel(f"{what} is not sent to {self.place}, which nobody named", remedy=_NAME_IT)

    async def srm(self, operation: str, body: Json) -> Reply:
        """Call an SRM operation. Raises when the request failed as a whole; files answer for themselves."""
        url = self.base / "srm" / "v2" / operation
        _, content = await self._call("POST", url, body, _CALL_SECONDS, repeat=operation not in _ONCE)
        return Reply.parse(content)

    async def operate(
        self, method: str, path: str, body: Json | None = None, *, repeat: bool = False
    ) -> Json:
        """Call an administrative operation below the server's URL; its JSON answer, {} for none.

        `repeat`: a second time does no more than the first, as it is of every GET.
        """
        url = self.base.joinpath(path)
        answer, content = await self._call(
            method, url, body, _OPERATE_SECONDS, repeat=repeat or method == "GET"
        )
        return _object(content) if answer.status != 204 else {}

    async def document(self, path: str, body: Json) -> tuple[bytes, Mapping[str, str]]:
        """What an operation makes that changes nothing, as it comes, and the headers that come with it."""
        url = self.base.joinpath(path)
        answer, content = await self._call("POST", url, body, _OPERATE_SECONDS, repeat=True)
        return content, answer.headers

    async def _call(
        self, method: str, url: URL, body: Json | None, seconds: float, *, repeat: bool
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        demand_confidential(url, "a request")
        patience = self.patience(self.attempts)
        while True:
            try:
                return await self._call_once(method, url, body, seconds)
            except Untrusted:
                raise
            except MdmError as error:
                begun = not isinstance(error.__cause__, aiohttp.ClientConnectorError)
                done_nothing = isinstance(error, TooManyRequests) or not begun
                passing = isinstance(error, Unavailable) or error.http in PASSING
                if not passing or not (repeat or done_nothing):
                    raise
                await patience.after(error)

    def patience(self, attempts: int) -> Patience:
        """For a call, or a transfer of one file."""
        return Patience(attempts, self.on_wait)

    async def _call_once(
        self, method: str, url: URL, body: Json | None, seconds: float
    ) -> tuple[aiohttp.ClientResponse, bytes]:
        async with self._asked(method, url, body, seconds) as response:
            content = await self._whole(response)
        self._demand_done(url, response, content)
        return response, content

    async def _whole(self, response: aiohttp.ClientResponse) -> bytes:
        pieces, length = [], 0
        async for piece in response.content.iter_any():
            pieces.append(piece)
            length += len(piece)
            if length > self._longest:
                raise WrongContent(f"the answer of {self.place} has more than {self._longest} bytes")
        return b"".join(pieces)

    @asynccontextmanager
    async def _asked(
        self, method: str, url: URL, body: Json | None, seconds: float
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a request that carries the credential. Time-outs and cut connections, also those while the
        caller reads, are Unreachable."""
        headers = {"Accept": "application/json, application/problem+json"}
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = orjson.dumps(body)
        try:
            async with self._open.request(
                method, url, data=data, headers=headers, allow_redirects=False, timeout=_within(seconds)
            ) as response:
                yield response
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(url, error) from error

    def _demand_done(self, url: URL, response: aiohttp.ClientResponse, content: bytes) -> None:
        """Raises what a failed request's answer tells, unless it is SRM's, which tells by itself."""
        if response.status in _REDIRECTS:
            raise NotSupported(
                f"the server at {url.origin()} redirects elsewhere",
                remedy="give the URL that it redirects to",
            )
        if response.status == 401 and self._token is None and not self._named:
            raise Unauthenticated(f"{self.place} is shown no token, for nobody named it", remedy=_NAME_IT)
        if response.status == 401 and self._token is None:
            raise Unauthenticated(
                "no token was found to show the server",
                remedy="set BEARER_TOKEN or BEARER_TOKEN_FILE, or on its own machine give --data",
            )
        if response.status >= 400 and not _is_srm(response.content_type, content):
            raise error_from_problem(response.status, content, response.headers)
        if response.status in PASSING:
            raise error_from_problem(response.status, _as_problem(content), response.headers)

    async def lines(self, path: str, body: Json) -> AsyncGenerator[Json, None]:
        """The lines of JSON that an operation answers with, one by one. A stream that breaks off is Unreachable."""
        url = self.base.joinpath(path)
        demand_confidential(url, "a request")
        async with self._asked("POST", url, body, _CALL_SECONDS) as response:
            if response.status != 200:
                self._demand_done(url, response, await response.read())
            pieces: list[bytes] = []
            async for piece, _ in response.content.iter_chunks():
                *ended, rest = piece.split(b"\n")
                for line in ended:
                    if whole := b"".join([*pieces, line]):
                        yield _object(whole)
                    pieces = []
                pieces.append(rest)

    @asynccontextmanager
    async def transfer(
        self,
        method: str,
        url: URL,
        *,
        sealed: bool,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request to a transfer URL, without the credential; the answer's status is below 400.

        Cut connections and time-outs, also those while the caller reads, become Unavailable.
        """
        try:
            for _ in range(_MAX_HOPS):
                demand_transfer_channel(url, sealed=sealed)
                async with self._open.request(
                    method,
                    url,
                    headers=headers,
                    data=data,
                    allow_redirects=False,
                    expect100=data is not None,
                    timeout=_within(_GET_SECONDS if data is None else _PUT_SECONDS),
                ) as response:
                    if response.status >= 400:
                        problem = await response.content.read(_MAX_PROBLEM)
                        raise error_from_problem(response.status, problem, response.headers)
                    if response.status not in _REDIRECTS or data is not None:
                        yield response
                        return
                    if self._local is not None:
                        raise NotSupported("a transfer over the socket is redirected elsewhere")
                    url = _next_hop(url, response.headers.get("Location", ""))
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(url, error) from error
        raise WrongContent(f"more than {_MAX_HOPS} redirects")

    def _unreachable(self, url: URL, error: Exception) -> Unreachable:
        """Names the server but not the path, which of a transfer URL is a secret."""
        place = self.place if self._local is not None else str(url.origin())
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return Untrusted(
                f"the certificate of {place} is not trusted", remedy="give its authority's with --ca"
            )
        if isinstance(error, aiohttp.ClientConnectorError):
            if isinstance(error.os_error, ssl.SSLError):
                if error.os_error.reason in ("WRONG_VERSION_NUMBER", "HTTP_REQUEST"):
                    return Unreachable(f"{place} does not answer as TLS", remedy="is its port that of https?")
                return Unreachable(
                    f"no TLS connection to {place} ({error.os_error.reason or 'no reason given'})"
                )
            number = error.os_error.errno or 0  # Negative: the name has no address.
            reason = os.strerror(number) if number > 0 else error.os_error.strerror or "no answer"
            remedy = "is the server up, and MDM_URL right?"
            if self._local is not None and error.os_error.errno == errno.EACCES:
                remedy = "its socket is for its own user and root; name it with --url, and show a token"
            elif self._local is not None:
                remedy = f"start it: mdm serve --data {self._local.directory}; or name another with --url"
            return Unreachable(f"no connection to {place} ({reason})", remedy=remedy)
        if isinstance(error, TimeoutError):
            return Unreachable(f"{place} did not answer in time")
        return Unreachable(f"the connection to {place} was cut")

    @property
    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("use `async with`")
        return self._session


def _within(seconds: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS, sock_read=seconds)


def _tls(ca: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca is not None:
        try:
            context.load_verify_locations(cafile=ca)
        except (OSError, ssl.SSLError):
            raise BadRequest(f"the certificate file {ca} cannot be read", remedy="give a PEM file") from None
    return context


def _next_hop(url: URL, location: str) -> URL:
    target = parse_url(url.join(URL(location)))
    if url.scheme == "https" and target.scheme != "https":
        raise InsecureChannel("a transfer is redirected from TLS to plain HTTP")
    return target


def _is_srm(content_type: str, content: bytes) -> bool:
    return content_type == "application/json" and b'"returnStatus"' in content


def _as_problem(content: bytes) -> bytes:
    """The whole-request status of an SRM answer as a problem document."""
    status = _object(content).get("returnStatus") or {}
    told = {"type": status.get("type"), "detail": status.get("explanation"), "remedy": status.get("remedy")}
    return orjson.dumps(told)


def _object(content: bytes) -> Json:
    try:
        answer = orjson.loads(content)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise WrongContent("the server's answer is not JSON", remedy="is MDM_URL the URL of an mdm server?")
    return answer
