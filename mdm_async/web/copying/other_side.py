"""The URL of a file on another server, taken apart once: what is judged is what is then connected to."""

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urljoin, urlsplit

from yarl import URL

from mdm_async.errors import BadRequest

_HOST = re.compile(r"[a-z0-9._-]+\Z|[0-9a-f:.]+\Z")
_WRITTEN = re.compile(r"[!-~]+\Z")
_UNSAFE = frozenset('"\\<>^`{|}')
_MOST = 8192
_HTTPS = 443


@dataclass(frozen=True, slots=True, repr=False)
class OtherSide:
    """One https URL. Its path and query are sent as they were written; neither is for logs, for both tell names and
    some tell secrets."""

    host: str
    port: int
    path: str
    query: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """`https://` or `davs://`, which is the same. Raises BadRequest."""
        if len(text) > _MOST or _WRITTEN.match(text) is None or _UNSAFE & set(text):
            raise _bad("it is too long, or holds characters that have to be percent-encoded")
        try:
            url = urlsplit(text)
            port = url.port
        except ValueError:
            raise _bad("it cannot be read") from None
        if url.scheme not in ("https", "davs"):
            raise _bad("only https is spoken with other servers", "name it by its https:// URL")
        if "#" in text:
            raise _bad("it has a fragment")
        if "@" in url.netloc:
            raise _bad("it holds a user name or a password", "send TransferHeaderAuthorization")
        host = url.hostname or ""
        if _HOST.match(host) is None or port == 0 or url.netloc.endswith(":"):
            raise _bad("its host or port cannot be read")
        return cls(host, port or _HTTPS, url.path or "/", url.query)

    @property
    def origin(self) -> str:
        """Host and port, as `copy.hosts` names them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"

    @property
    def url(self) -> URL:
        return URL.build(
            scheme="https",
            host=self.host,
            port=self.port,
            path=self.path,
            query_string=self.query,
            encoded=True,
        )

    def redirected(self, location: str) -> "OtherSide":
        """Where an answer of it sends its client. Raises BadRequest."""
        if len(location) > _MOST or _WRITTEN.match(location) is None:
            raise _bad("it redirects to what is no URL")
        try:
            joined = urljoin(str(self.url), location)
        except ValueError:
            raise _bad("it redirects to what is no URL") from None
        return OtherSide.parse(joined)


def _bad(what: str, remedy: str = "") -> BadRequest:
    return BadRequest(f"the other server's URL is not taken: {what}", remedy=remedy)
