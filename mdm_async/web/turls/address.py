"""Where transfer URLs point: the configured public URL, or the address to which the request for them came.

A name that the request gives (Host, X-Forwarded-Host) is anybody's word. It is told again only where it is known to be
this server's: in its certificate, or localhost on the loopback.

What is prepared over the socket in the data directory is transferred over it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from aiohttp import web

from mdm_async.errors import Conflict, NotSupported
from mdm_async.loopback import is_loopback
from mdm_async.web.http.channel import asked_host, is_encrypted
from mdm_async.web.http.house import House
from mdm_async.web.http.local_socket import came_by_socket

_NAME = "image.dcm"
"""The last component: the same for all, for an LFN in a URL ends in logs and histories."""


_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 — compared with, not listened on


@dataclass(frozen=True, slots=True)
class TurlAddress:
    base: str

    @classmethod
    def choose(cls, request: web.Request, house: House, protocols: list[str] | None, sealed: bool) -> Self:
        """The first of the caller's protocols that may carry the transfer. Raises NotSupported when none may."""
        own = cls._own(request, house)
        for wanted in protocols or [urlsplit(own).scheme]:
            if wanted == urlsplit(own).scheme:
                return cls(own)
            host = _bracketed(urlsplit(own).hostname or "")
            if wanted == "https" and house.tls_port is not None:
                return cls(f"https://{host}:{house.tls_port}")
            if wanted == "http" and sealed:
                return cls(f"http://{host}:{house.port}")
        raise NotSupported("none of the transfer protocols asked for is offered", remedy="ask for https")

    @classmethod
    def told_elsewhere(cls, request: web.Request, house: House) -> Self:
        """Where others reach this server, who are told of it in a document. Raises Conflict when that is not known."""
        server = house.settings.server
        if not came_by_socket(request) or server.public_url is not None:
            return cls(
                server.public_url.rstrip("/") if server.public_url is not None else cls._own(request, house)
            )
        if server.host in _EVERYWHERE:
            raise Conflict(
                "it is not known under which address others reach this server", remedy="set server.public_url"
            )
        secured = house.tls_port is not None
        port = house.tls_port if secured else house.port
        return cls(f"{'https' if secured else 'http'}://{_bracketed(server.host)}:{port}")

    @staticmethod
    def protocols(house: House) -> list[str]:
        return ["https", "http"] if house.tls_port is not None else ["http"]

    def url(self, token: str) -> str:
        return f"{self.base}/t/{token}/{_NAME}"

    @staticmethod
    def _own(request: web.Request, house: House) -> str:
        if came_by_socket(request):
            return "http://localhost"
        public = house.settings.server.public_url
        if public is not None:
            return public.rstrip("/")
        if request.transport is None:
            raise ConnectionResetError("the client has gone")
        address, port = request.transport.get_extra_info("sockname")[:2]
        name = known_name(asked_host(request), address.removeprefix("::ffff:"), house.own_names())
        return f"{'https' if is_encrypted(request) else 'http'}://{_bracketed(name)}:{port}"


def known_name(asked: str, address: str, certified: Sequence[str]) -> str:
    """What the server that is reached at `address` is called: as it was asked for if that is one of its names."""
    if asked in certified or (asked == "localhost" and is_loopback(address)):
        return asked
    return certified[0] if certified and address not in certified and not is_loopback(address) else address


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
