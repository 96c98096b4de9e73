"""Who asks, by what a request's head shows: nothing here reads a body, or decides what may be done."""

from aiohttp import web

from mdm_async.errors import Forbidden, Unauthenticated
from mdm_async.identity.authenticator import Circumstances
from mdm_async.identity.peer_chain import peer_chain
from mdm_async.names import Caller
from mdm_async.web.http.channel import demand_secure, is_forwarded, is_from_proxy, source_of
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.local_socket import came_by_socket, demand_own_peer
from mdm_async.web.http.on_behalf import runs_for

CALLER = web.RequestKey("caller", Caller)
"""Set as soon as it is known who asks."""


async def caller_of(request: web.Request) -> Caller:
    """The channel is looked at before the credential. Raises InsecureChannel, Unauthenticated, Forbidden,
    TooManyRequests."""
    demand_secure(request)
    request[CALLER] = caller = await _counted(request)
    runs_for(request, caller)
    return caller


async def _counted(request: web.Request) -> Caller:
    """Those who show no valid credential may ask so often at each source. Raises TooManyRequests."""
    if came_by_socket(request):
        return await _authenticated(request)
    strangers, source = request.app[HOUSE].desk.strangers, source_of(request)
    shown = request.headers.get("Authorization", "")
    if shown or not _chain(request):
        strangers.demand(source, shown)
    again = CALLER in request
    try:
        caller = await _authenticated(request)
    except Unauthenticated:
        strangers.count(source, shown)
        raise
    if not caller.is_anonymous:
        strangers.know(shown)
    elif not again:
        strangers.count(source)
    return caller


def shows_credential(request: web.Request) -> bool:
    return "Authorization" in request.headers or came_by_socket(request) or bool(_chain(request))


async def identified_caller_of(request: web.Request) -> Caller:
    """As `caller_of`, where nobody is served who does not say who they are."""
    caller = await caller_of(request)
    if caller.is_anonymous:
        raise Unauthenticated(
            remedy="show a trusted certificate, or 'Authorization: Bearer <token>' (mdm token create)"
        )
    return caller


async def _authenticated(request: web.Request) -> Caller:
    shown = request.headers.getall("Authorization", [])
    if len(shown) > 1:
        raise Unauthenticated("two Authorization headers were sent", remedy="send one")
    authorization = shown[0] if shown else None
    if authorization is None:
        _demand_own_page(request)
    authenticator = request.app[HOUSE].authenticator
    circumstances = Circumstances(request.method, request.rel_url.path_safe, source_of(request))
    if came_by_socket(request):
        demand_own_peer(request)
        if authorization is None:
            return authenticator.administrator(circumstances.source)
    return await authenticator.caller(authorization, _chain(request), circumstances)


def kept_credential(request: web.Request, caller: Caller) -> bytes:
    """What is kept of the credential by which this caller came, so that it can be asked again. Raises Forbidden."""
    authorization = request.headers.get("Authorization")
    return request.app[HOUSE].makers.kept(caller, authorization, _chain(request))


def _demand_own_page(request: web.Request) -> None:
    """A browser shows its certificate for whatever page makes it ask: no other site's page may. Raises Forbidden."""
    origin = request.headers.get("Origin")
    other = origin is not None and origin.partition("://")[2] != request.host
    if other or request.headers.get("Sec-Fetch-Site") in ("cross-site", "same-site"):
        raise Forbidden("a page of another site asked for this", remedy="send a bearer token")


def _chain(request: web.Request) -> list[bytes] | None:
    """The certificates of the TLS connection's client, if it has shown one. A proxy's are not those of its clients."""
    if is_from_proxy(request) and is_forwarded(request):
        return None
    transport = request.transport
    connection = transport.get_extra_info("ssl_object") if transport is not None else None
    return peer_chain(connection) if connection is not None else None
