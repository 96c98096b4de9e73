"""The verbs of WebDAV, each in a file of its own, and the door that all of them go through."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from mdm_async.errors import Exists, MdmError, NoParent
from mdm_async.postgres.shown_locks import shown_locks
from mdm_async.web.dav import (
    collection,
    conditions,
    copy,
    delete,
    get,
    lock,
    macaroon,
    move,
    options,
    propfind,
    proppatch,
    put,
)
from mdm_async.web.dav.asked import Asked
from mdm_async.web.http import problem
from mdm_async.web.http.credential import caller_of
from mdm_async.web.http.named import DAV, Named

Verb = Callable[[Asked], Awaitable[web.StreamResponse]]

_READING: dict[str, Verb] = {
    "OPTIONS": options.options,
    "PROPFIND": propfind.propfind,
    "GET": get.get,  # and HEAD, which goes with it
}
_CHANGING: dict[str, Verb] = {
    "PUT": put.put,
    "MKCOL": collection.mkcol,
    "DELETE": delete.delete,
    "MOVE": move.move,
    "COPY": copy.copy,
    "POST": macaroon.post,
    "PROPPATCH": proppatch.proppatch,
    "LOCK": lock.lock,
    "UNLOCK": lock.unlock,
}


def routes() -> list[web.AbstractRouteDef]:
    verbs = _READING | _CHANGING
    return [web.route(method, DAV + r"{path:(?:/[\s\S]*)?}", _served(verb)) for method, verb in verbs.items()]


def _served(verb: Verb) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    async def serve(request: web.Request) -> web.StreamResponse:
        caller = await caller_of(request)
        named = Named.asked(request, DAV)
        asked = Asked(request, caller, named)
        try:
            # Set anew for each request: a connection's requests have one context.
            shown_locks.set(await conditions.shown(asked))
            if request.method in _CHANGING:
                await conditions.demand_match(asked)
            return await verb(asked)
        except MdmError as why:
            status = _status(request, why)
            if status is None:
                raise
            return problem.answer(request, why, status=status)
        finally:
            shown_locks.set(frozenset())

    return serve


def _status(request: web.Request, why: MdmError) -> int | None:
    """What RFC 4918 has for an error where all other faces have another status."""
    if isinstance(why, NoParent):
        return 409  # §9.3.1, §9.7.1, §9.8.5, §9.9.4
    if isinstance(why, Exists):
        if request.method == "MKCOL":
            return 405  # §9.3.1
        if "F" in request.headers.get("Overwrite", "") or "If-None-Match" in request.headers:
            return 412  # §9.8.5, §9.9.4
    return None
