"""Where transfer URLs point: the configured public URL, or the way by which the request for them came.

What is prepared over the socket in the data directory is transferred over it.
"""

from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from aiohttp import web

from mdm_async.errors import NotSupported
from mdm_async.web.http.channel import is_encrypted
from mdm_async.web.http.house import House
from mdm_async.web.http.local_socket import came_by_socket

_NAME = "image.dcm"
"""The last component: the same for all, for an LFN in a URL ends in logs and histories."""


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
            host = urlsplit(own).hostname or ""
            host = f"[{host}]" if ":" in host else host
            if wanted == "https" and house.tls_port is not None:
                return cls(f"https://{host}:{house.tls_port}")
            if wanted == "http" and sealed:
                return cls(f"http://{host}:{house.port}")
        raise NotSupported("none of the transfer protocols asked for is offered", remedy="ask for https")

    @staticmethod
    def protocols(house: House) -> list[str]:
        return ["https", "http"] if house.tls_port is not None else ["http"]

    def url(self, token: str) -> str:
        return f"{self.base}/t/{token}/{_NAME}"

    @staticmethod
    def _own(request: web.Request, house: House) -> str:
        public = house.settings.server.public_url
        if public is not None and not came_by_socket(request):
            return public.rstrip("/")
        return f"{'https' if is_encrypted(request) else 'http'}://{request.host}"
