"""What is probed: a protocol, a host, and a path in the namespace."""

import re
from dataclasses import dataclass
from typing import Final, Literal, Self
from urllib.parse import unquote

from yarl import URL

from mdm_async.client.channel import demand_confidential
from mdm_async.errors import BadRequest

Protocol = Literal["https", "davs", "srm"]
_SRM: Final = re.compile(r"/srm/managerv2(?:\?SFN=(?P<path>/.*))?\Z", re.DOTALL)
_PORT: Final = 8443


@dataclass(frozen=True, slots=True)
class Endpoint:
    protocol: Protocol
    base: URL
    """`https://host:port`; `http://` on the loopback alone."""
    path: str
    """What is listed: the root if the URL names nothing."""

    def __str__(self) -> str:
        protocol = self.protocol if self.base.scheme == "https" else "http"
        return f"{protocol}://{self.base.host}:{self.base.port}"

    @classmethod
    def of(cls, text: str) -> Self:
        """`https://host:port`, `davs://host:port/dav/vo`, `srm://host:port/srm/managerv2?SFN=/vo`; the port may be
        left out where it is 8443. Raises BadRequest, InsecureChannel."""
        try:
            url = URL(text)
            port = url.explicit_port or _PORT
        except ValueError:
            raise BadRequest("the URL is malformed") from None
        if not url.host or url.user or url.password:
            raise BadRequest("the URL names no host, or a user", remedy=_REMEDY)
        scheme = {"http": "http", "dav": "http"}.get(url.scheme, "https")
        base = URL.build(scheme=scheme, host=url.host, port=port)
        demand_confidential(base, "a probe")
        rest = text.partition("://")[2].partition("/")[2]
        match url.scheme:
            case "https" | "http":
                return cls("https", base, f"/{unquote(rest)}")
            case "davs" | "dav":
                return cls("davs", base, _below_dav(f"/{unquote(rest)}"))
            case "srm":
                return cls("srm", base, _surl_path(f"/{rest}"))
        raise BadRequest("the URL's protocol is not one that is probed", remedy=_REMEDY)


def _below_dav(path: str) -> str:
    if path.rstrip("/") == "":
        return "/"
    if path != "/dav" and not path.startswith("/dav/"):
        raise BadRequest("the URL's path is not below /dav", remedy=_REMEDY)
    return path.removeprefix("/dav") or "/"


def _surl_path(path: str) -> str:
    if path.rstrip("/") == "":
        return "/"
    found = _SRM.match(path)
    if found is None:
        raise BadRequest("the URL's path is not /srm/managerv2?SFN=/…", remedy=_REMEDY)
    return found["path"] or "/"


_REMEDY: Final = "give https://host:port, davs://host:port/dav/… or srm://host:port/srm/managerv2?SFN=/…"
