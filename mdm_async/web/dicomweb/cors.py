"""Scripts of viewers' pages may ask, where their origin is configured (Fetch §3.2): with a bearer token, and with
nothing that the browser has of itself."""

from typing import Final

from aiohttp import web

from mdm_async.web.dicomweb.asked import BASE
from mdm_async.web.http.house import HOUSE

_READ: Final = "Content-Range, ETag, Retry-After, Warning, WWW-Authenticate, X-Request-Id"
_SENT: Final = "Accept, Authorization, If-Match, If-None-Match, If-Range, Range"
_SECONDS: Final = "600"


async def allow(request: web.Request, answer: web.StreamResponse) -> None:
    """Tell the browser, with each answer and before the question (RFC 9110 §9.3.7), whether the page may have it."""
    if not request.path.startswith(f"{BASE}/"):
        return
    origins = request.app[HOUSE].settings.dicomweb.cors_origins
    if not origins:
        return
    answer.headers.add("Vary", "Origin")
    origin = request.headers.get("Origin")
    if origin is None or origin not in origins:
        return
    answer.headers["Access-Control-Allow-Origin"] = origin
    answer.headers["Access-Control-Expose-Headers"] = _READ
    if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
        answer.headers["Access-Control-Allow-Methods"] = "GET, HEAD"
        answer.headers["Access-Control-Allow-Headers"] = _SENT
        answer.headers["Access-Control-Max-Age"] = _SECONDS
