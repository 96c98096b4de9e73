"""Which requests came over a channel that may carry credentials, names, metadata or clear bytes.

That is TLS, ours or a listed proxy's, the socket in the data directory, or true loopback. A server whose configured
public URL is not on the loopback may stand behind a proxy that hides where its requests come from, so there the
loopback counts for nothing.
"""

import ipaddress
from urllib.parse import urlsplit

from aiohttp import web

from mdm_async.errors import InsecureChannel
from mdm_async.loopback import is_loopback
from mdm_async.settings import ServerSettings
from mdm_async.web.http.house import HOUSE
from mdm_async.web.http.local_socket import SOURCE, came_by_socket

_FORWARDING = ("Forwarded", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Real-IP", "Via")


def is_encrypted(request: web.Request) -> bool:
    """TLS, ended here or at a listed proxy."""
    # All that a client may have said itself must agree with what the proxy says.
    said = {value.strip().lower() for value in request.headers.getall("X-Forwarded-Proto", ())}
    if said and is_from_proxy(request):
        # How the proxy speaks to this server is not how its client spoke to it.
        return said == {"https"}
    return request.transport is not None and request.transport.get_extra_info("sslcontext") is not None


def is_secure(request: web.Request) -> bool:
    if came_by_socket(request):
        # What a proxy passes on to it came to that proxy by nobody knows what.
        return not is_forwarded(request)
    if is_encrypted(request):
        return True
    if is_from_proxy(request) or is_forwarded(request):
        return False
    return stays_here(request.app[HOUSE].settings.server, request.remote or "", asked_host(request))


def stays_here(settings: ServerSettings, remote: str, host: str) -> bool:
    """Whether what came unencrypted and by no proxy has not left this machine; `host`: that it asked for."""
    public = settings.public_url
    if public is not None and not is_loopback(urlsplit(public).hostname or ""):
        return False
    return is_loopback(remote) and is_loopback(host)


def is_from_proxy(request: web.Request) -> bool:
    return request.remote in request.app[HOUSE].settings.server.trusted_proxies


def is_forwarded(request: web.Request) -> bool:
    return any(header in request.headers for header in _FORWARDING)


def asked_host(request: web.Request) -> str:
    """The host that a request says it is for, which is anybody's word."""
    return host_in(request.headers.get("Host", ""))


def host_in(field: str) -> str:
    """That of a Host field; empty when it is none."""
    try:
        return urlsplit(f"//{field}").hostname or ""
    except ValueError:
        return ""


def demand_secure(request: web.Request) -> None:
    """Raises InsecureChannel."""
    if came_by_socket(request) and is_forwarded(request):
        raise InsecureChannel(
            "this was passed on to the socket from elsewhere",
            remedy="have the proxy pass requests on to the server's port",
        )
    if not is_secure(request):
        raise InsecureChannel(remedy="use the server's https URL; only sealed transfers may use plain HTTP")


def source_of(request: web.Request) -> str:
    """The address that a request came from, as a listed proxy tells it or as it is seen here."""
    told = [part.strip() for part in ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")]
    # What is left of the proxy's own word is the client's, who may write anything there.
    if is_from_proxy(request) and told[-1] and _is_address(told[-1]):
        return told[-1]
    return SOURCE if came_by_socket(request) else request.remote or ""


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
