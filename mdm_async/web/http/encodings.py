"""Codings of what a request brings: nothing is decompressed, for a few bytes of it may be a gigabyte."""

from aiohttp import web

from mdm_async.errors import NotSupported, UnsupportedMediaType


def demand_plain(request: web.Request) -> None:
    """Raises UnsupportedMediaType for a content coding, NotSupported for a transfer coding beside chunked."""
    if any(coding != "identity" for coding in _named(request, "Content-Encoding")):
        raise UnsupportedMediaType("nothing is taken in a content encoding", remedy="send it as it is")
    # RFC 9112 §6.1: it was not understood how the body is framed.
    if any(coding != "chunked" for coding in _named(request, "Transfer-Encoding")):
        raise NotSupported("no transfer coding but chunked is taken", remedy="send it as it is")


def _named(request: web.Request, header: str) -> list[str]:
    found = ",".join(request.headers.getall(header, ()))
    return [coding.strip().lower() for coding in found.split(",") if coding.strip()]
