"""HTTP as a probe speaks it: one request a connection, bounded, over TLS or httpg."""

import asyncio
import http.client
import io
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from yarl import URL

from mdm_async.client.channel import demand_transfer_channel
from mdm_async.client.probing.credential import Credential
from mdm_async.client.told_errors import error_from_problem
from mdm_async.errors import Unreachable, Untrusted, WrongContent

_MOST: Final = 64 << 20
WHO: Final = "set BEARER_TOKEN, BEARER_TOKEN_FILE or X509_USER_PROXY"
_NO_DELEGATION: Final = b"0"


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


@dataclass(frozen=True, slots=True)
class Line:
    """To one server; `httpg`: TLS with the grid's byte before the request."""

    base: URL
    context: ssl.SSLContext | None
    credential: Credential
    httpg: bool = False

    async def certificate_days(self) -> float | None:
        """Days that the server's certificate is still good for; None without TLS. Raises Untrusted, Unreachable."""
        if self.context is None:
            return None
        _, writer = await self._opened(self.base)
        try:
            certificate = writer.get_extra_info("peercert") or {}
        finally:
            writer.transport.abort()
        ends = certificate.get("notAfter")
        if not isinstance(ends, str):
            raise Untrusted("the server's certificate does not say when it ends")
        return (ssl.cert_time_to_seconds(ends) - time.time()) / 86400

    async def ask(
        self,
        method: str,
        target: str,
        body: bytes = b"",
        *,
        kind: str | None = None,
        headers: Mapping[str, str] | None = None,
        shown: bool = True,
        raises: bool = True,
    ) -> Answer:
        """`target`: a path, or the URL of a transfer, which is `shown` no credential. Unless it `raises` the errors
        that answers tell, they are the caller's to look at. Raises Unreachable."""
        url = URL(target, encoded=True) if "://" in target else self.base
        path = url.raw_path_qs if "://" in target else target
        demand_transfer_channel(url, sealed=False)
        fields = {
            "Host": url.authority,
            "Connection": "close",
            "Accept": "*/*",
            "User-Agent": "mdm-probe",
            **(self.credential.headers() if shown else {}),
            **({"Content-Type": kind} if kind is not None else {}),
            **(headers or {}),
        }
        if body or method in ("PUT", "POST"):
            fields["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        request = f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode("latin-1") + body
        answer = _parsed(method, await self._exchanged(url, request))
        if raises and answer.status >= 400:
            raise error_from_problem(answer.status, answer.body, answer.headers)
        return answer

    async def _exchanged(self, url: URL, request: bytes) -> bytes:
        reader, writer = await self._opened(url)
        try:
            writer.write((_NO_DELEGATION if self.httpg else b"") + request)
            await writer.drain()
            return await _until_end(reader)
        except (OSError, ssl.SSLError):
            raise Unreachable("the connection was cut") from None
        finally:
            writer.transport.abort()

    async def _opened(self, url: URL) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            return await asyncio.open_connection(
                url.host, url.port, ssl=self.context if url.scheme == "https" else None
            )
        except ssl.SSLCertVerificationError as why:
            raise Untrusted(f"the server's certificate is not trusted ({why.verify_message})") from None
        except ssl.SSLError as why:
            raise Unreachable(f"no TLS connection ({why.reason or 'no reason given'})") from None
        except OSError as why:
            raise Unreachable(f"no connection ({why.strerror or 'no address'})") from None


async def _until_end(reader: asyncio.StreamReader) -> bytes:
    whole = bytearray()
    while chunk := await reader.read(1 << 16):
        whole += chunk
        if len(whole) > _MOST:
            raise WrongContent("the answer does not end")
    return bytes(whole)


class _Came(io.BytesIO):
    """What `http.client` takes for a socket."""

    def makefile(self, *_: object) -> io.BytesIO:
        return self


def _parsed(method: str, raw: bytes) -> Answer:
    answer = http.client.HTTPResponse(_Came(raw), method=method)  # type: ignore[arg-type]
    try:
        answer.begin()
        body = answer.read()
    except (http.client.HTTPException, OSError, ValueError):
        raise WrongContent("the answer is not HTTP, or was cut") from None
    return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, body)
