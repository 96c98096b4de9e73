"""Which requests came over a channel that may carry credentials, names, metadata or clear bytes.

That is TLS, ours or a listed proxy's, the socket in the data directory, or true loopback. A server whose configured
public URL is not on the loopback may stand behind a proxy that hides where its requests come from, so there the
loopback counts for nothing.
"""

import ipaddress
from dataclasses import replace
from urllib.parse import urlsplit

from aiohttp import web

from mdm_async.errors import Forbidden, InsecureChannel, Unauthenticated
from mdm_async.identity.peer_chain import peer_chain
from mdm_async.loopback import is_loopback
from mdm_async.names import Caller
from mdm_async.web.http.body import whole
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.local_socket import SOURCE, came_by_socket, demand_own_peer

CALLER = web.RequestKey("caller", Caller)
"""Set as soon as it is known who asks."""
_FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Via")


def is_encrypted(request: web.Request) -> bool:
    """TLS, ended here or at a listed proxy."""
    # All that a client may have said itself must agree with what the proxy says.
    said = {value.strip().lower() for value in request.headers.getall("X-Forwarded-Proto", ())}
    if said and _from_proxy(request):
        # How the proxy speaks to this server is not how its client spoke to it.
        return said == {"https"}
    return request.transport is not None and request.transport.get_extra_info("sslcontext") is not None


def is_secure(request: web.Request) -> bool:
    if came_by_socket(request) or is_encrypted(request):
        return True
    settings = request.app[HOUSE].archive.settings.server
    if _from_proxy(request):
        return False
    if settings.public_url is not None and not is_loopback(urlsplit(settings.public_url).hostname or ""):
        return False
    if _is_forwarded(request):
        return False
    return is_loopback(request.remote or "") and is_loopback(_asked_host(request))


def _from_proxy(request: web.Request) -> bool:
    return request.remote in request.app[HOUSE].archive.settings.server.trusted_proxies


def _is_forwarded(request: web.Request) -> bool:
    return any(header in request.headers for header in _FORWARDING)


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
    """Who asks, once all of the request is there: a credential that ends before that counts no more.

    The channel is looked at before the credential, and both before a body is waited for. Raises InsecureChannel,
    Unauthenticated, Forbidden.
    """
    demand_secure(request)
    caller = await _authenticated(request)
    if not request.content.is_eof():
        await whole(request)
        caller = await _authenticated(request)
    request[CALLER] = caller
    return caller


async def _authenticated(request: web.Request) -> Caller:
    shown = request.headers.getall("Authorization", [])
    if len(shown) > 1:
        raise Unauthenticated("two Authorization headers were sent", remedy="send one")
    authorization = shown[0] if shown else None
    if authorization is None:
        _demand_own_page(request)
    authenticator = request.app[HOUSE].authenticator
    if came_by_socket(request):
        demand_own_peer(request)
        if authorization is None:
            return replace(authenticator.administrator(), source=SOURCE)
    caller = await authenticator.caller(authorization, _chain(request))
    return replace(caller, source=source_of(request))


def _demand_own_page(request: web.Request) -> None:
    """A browser shows its certificate for whatever page makes it ask: no other site's page may. Raises Forbidden."""
    origin = request.headers.get("Origin")
    other = origin is not None and origin.partition("://")[2] != request.host
    if other or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        raise Forbidden("a page of another site asked for this", remedy="send a bearer token")


async def identified_caller_of(request: web.Request) -> Caller:
    """As `caller_of`, where nobody is served who does not say who they are."""
    caller = await caller_of(request)
    if caller.is_anonymous:
        raise Unauthenticated(remedy="send 'Authorization: Bearer <token>' (mdm token create makes one)")
    return caller


def source_of(request: web.Request) -> str:
    """The address that a request came from, as a listed proxy tells it or as it is seen here."""
    told = [part.strip() for part in ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")]
    # What is left of the proxy's own word is the client's, who may write anything there.
    if _from_proxy(request) and told[-1] and _is_address(told[-1]):
        return told[-1]
    return SOURCE if came_by_socket(request) else request.remote or ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _chain(request: web.Request) -> list[bytes] | None:
    """The certificates of the TLS connection's client, if it has shown one. A proxy's are not those of its clients."""
    if _from_proxy(request) and _is_forwarded(request):
        return None
    transport = request.transport
    connection = transport.get_extra_info("ssl_object") if transport is not None else None
    return peer_chain(connection) if connection is not None else None
