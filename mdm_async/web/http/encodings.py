"""Formats and codings of what a request brings: nothing is decompressed, for a few bytes of it may be a gigabyte."""

from aiohttp import web
from aiohttp.http import HttpVersion11

from mdm_async.errors import BadRequest, NotSupported, UnsupportedMediaType, VersionNotSupported

_JSON = ("application/json", "text/json", "application/macaroon-request")
_XML = ("text/xml", "application/xml")
_UNSAID = ("application/octet-stream", "application/x-www-form-urlencoded")
"""What libraries and `curl -d` say of any body if nobody tells them what it is."""


def demand_plain(request: web.Request) -> None:
    """Raises UnsupportedMediaType for a content coding, NotSupported for a transfer coding beside chunked, BadRequest
    for one in HTTP/1.0, VersionNotSupported for what is neither HTTP/1.0 nor HTTP/1.1."""
    if any(coding != "identity" for coding in _named(request, "Content-Encoding")):
        raise UnsupportedMediaType("nothing is taken in a content encoding", remedy="send it as it is")
    if request.version.major != 1:
        raise VersionNotSupported()
    if is_misframed(request):
        raise BadRequest("HTTP/1.0 has no transfer codings", remedy="send HTTP/1.1, or a Content-Length")
    # RFC 9112 §6.1: it was not understood how the body is framed.
    if any(coding != "chunked" for coding in _named(request, "Transfer-Encoding")):
        raise NotSupported("no transfer coding but chunked is taken", remedy="send it as it is")


def is_misframed(request: web.Request) -> bool:
    """Others on the way may have seen the request's end elsewhere (RFC 9112 §6.1)."""
    return "Transfer-Encoding" in request.headers and request.version < HttpVersion11


def _named(request: web.Request, header: str) -> list[str]:
    found = ",".join(request.headers.getall(header, ()))
    return [coding.strip().lower() for coding in found.split(",") if coding.strip()]


def demand_json(request: web.Request) -> None:
    """Where a body is to be JSON and says that it is something else. Raises UnsupportedMediaType."""
    kind = _kind(request)
    if kind and kind not in _JSON + _UNSAID and not kind.endswith("+json"):
        raise UnsupportedMediaType("this takes JSON", remedy="send it as application/json")


def demand_xml(request: web.Request) -> None:
    """As `demand_json`, of XML."""
    kind = _kind(request)
    if kind and kind not in _XML + _UNSAID and not kind.endswith("+xml"):
        raise UnsupportedMediaType("this takes XML", remedy="send it as text/xml")


def _kind(request: web.Request) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()
