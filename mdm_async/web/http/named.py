"""Names in the namespace that stand in URLs: `<root>/<path>` is the SURL `/<path>`, percent-decoded once.

`<root>/@<view>/<path>` is so the SURL `/@<view>/<path>`.
"""

from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, unquote, urlsplit

from aiohttp import web

from mdm_async.errors import BadPath, BadRequest
from mdm_async.web.http.house import HOUSE

DAV = "/dav"
"""Below it the namespace stands in URLs."""
_BARE = "/@:!$'()*,;=~+"
"""What a path of a URL may hold beside letters, digits and `-._` (RFC 3986 §3.3), and no reader takes for more. A
literal '&' would need an escape in XML."""
_HEX = frozenset("0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class Named:
    """What a URL names: its SURL, and its path as it was asked for, to be told again."""

    surl: str
    path: str

    @classmethod
    def asked(cls, request: web.Request, root: str) -> Self:
        """What the request's own URL names below `root`. Raises BadPath."""
        if request.rel_url.raw_fragment:
            raise BadPath("a request's URL has a fragment", remedy="write '#' in names as %23")
        return cls.of(request.rel_url.raw_path, root)

    @classmethod
    def of(cls, path: str, root: str) -> Self:
        """Raises BadPath for a path that is not below `root`, and for one that others may decode to another name."""
        if path != root and not path.startswith(root + "/"):
            raise BadPath(f"a URL's path is not below {root}")
        return cls(_decoded(path.removeprefix(root)) or "/", path)

    def child(self, name: str, *, directory: bool) -> str:
        """The URL's path of what is in this directory under that name, in the spelling in which it was asked for."""
        return f"{self.path.rstrip('/')}/{quote(name, safe=_BARE)}{'/' if directory else ''}"

    @property
    def as_directory(self) -> str:
        return self.path if self.path.endswith("/") else f"{self.path}/"


def destination(request: web.Request, root: str, field: str = "Destination") -> Named | None:
    """What the Destination header (RFC 4918 §10.3), or another one, names; None when that is on another host.

    Raises BadRequest.
    """
    told = request.headers.getall(field, [])
    if len(told) != 1:
        raise BadRequest(f"one {field} must be given", remedy=f"send the header '{field}: <URL>'")
    return destination_of(request, told[0].strip(), root, field)


def destination_of(request: web.Request, told: str, root: str, field: str) -> Named | None:
    """What a URL in this header names; None when it is on another host. Raises BadRequest."""
    try:
        url = urlsplit(told)
        port = url.port
    except ValueError:
        raise BadRequest(f"the {field} is no URL") from None
    if url.netloc and not _is_here(request, url.scheme.lower(), (url.hostname or "").lower(), port):
        return None
    if url.query or url.fragment:
        raise BadPath(
            f"the {field} has a query or a fragment", remedy="write '?' and '#' in names as %3F, %23"
        )
    return Named.of(url.path, root)


_PORTS = {"http": 80, "https": 443, "dav": 80, "davs": 443}


def _is_here(request: web.Request, scheme: str, host: str, port: int | None) -> bool:
    """Whether a URL is of the host that the request came to, or of this server's configured public URL.

    Which of its ports is meant makes no difference to the names behind it, but another port may be another server.
    """
    if scheme not in _PORTS:
        return False
    public = request.app[HOUSE].settings.server.public_url
    here = [urlsplit(f"//{request.host}")] + ([urlsplit(public)] if public is not None else [])
    wanted = port or _PORTS[scheme]
    for own in here:
        try:
            own_port = own.port or _PORTS.get(own.scheme) or _PORTS[scheme]
        except ValueError:
            continue
        if (own.hostname or "").lower() == host and own_port == wanted:
            return True
    return False


def _decoded(path: str) -> str:
    """Raises BadPath for what is no UTF-8, a '%' that begins no escape, and a slash or NUL that is one."""
    for escape in path.split("%")[1:]:
        digits = escape[:2]
        if len(digits) < 2 or not _HEX.issuperset(digits):
            raise BadPath("a '%' in a URL's path begins no escape", remedy="write '%' in names as %25")
        if digits.lower() in ("2f", "00"):
            raise BadPath("a URL's path holds a percent-encoded slash or NUL")
    try:
        return unquote(path, errors="strict")
    except UnicodeDecodeError:
        raise BadPath("a URL's path is not UTF-8") from None
