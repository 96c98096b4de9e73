"""OPTIONS (RFC 4918 §10.1): what is spoken here, the same of every name."""

from aiohttp import web

from mdm_async.web.dav.asked import Asked

ALLOWED = "OPTIONS, PROPFIND, PROPPATCH, GET, HEAD, PUT, MKCOL, DELETE, MOVE, COPY, LOCK, UNLOCK, POST"


async def options(asked: Asked) -> web.Response:
    return web.Response(headers={"Allow": ALLOWED, "DAV": "1, 2", "Cache-Control": "no-store"})
