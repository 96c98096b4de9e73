"""Which requests came over a channel that may carry credentials, names, metadata or clear bytes.

That is TLS, ours or a listed proxy's, or true loopback. A server whose configured public URL is not on the loopback
may stand behind a proxy that hides where its requests come from, so there the loopback counts for nothing.
"""

from urllib.parse import urlsplit

from aiohttp import web

from mdm_async.errors import InsecureChannel
from mdm_async.names import Caller
from mdm_async.settings import is_loopback
from mdm_async.web.house import HOUSE

_FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Via")


def is_encrypted(request: web.Request) -> bool:
    """TLS, ended here or at a listed proxy."""
    if request.transport is not None and request.transport.get_extra_info("sslcontext") is not None:
        return True
    # All that a client may have said itself must agree with what the proxy says.
    said = {value.strip().lower() for value in request.headers.getall("X-Forwarded-Proto", ())}
    return _from_proxy(request) and said == {"https"}


def is_secure(request: web.Request) -> bool:
    if is_encrypted(request):
        return True
    settings = request.app[HOUSE].archive.settings.server
    if _from_proxy(request):
        return False
    if settings.public_url is not None and not is_loopback(urlsplit(settings.public_url).hostname or ""):
        return False
    if any(header in request.headers for header in _FORWARDING):
        return False
    return is_loopback(request.remote or "") and is_loopback(_asked_host(request))


def _from_proxy(request: web.Request) -> bool:
    return request.remote in request.app[HOUSE].archive.settings.server.trusted_proxies


def _asked_host(request: web.Request) -> str:
    try:
        return urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    except ValueError:
        return ""


def demand_secure(request: web.Request) -> None:
    """Raises InsecureChannel."""
    if not is_secure(request):
        raise InsecureChannel(remedy="use the server's https URL; only sealed transfers may use plain HTTP")


async def caller_of(request: web.Request) -> Caller:
    """Who asks. The channel is looked at before the credential. Raises InsecureChannel, Unauthenticated."""
    demand_secure(request)
    return await request.app[HOUSE].bearer.caller(request.headers.get("Authorization"))
