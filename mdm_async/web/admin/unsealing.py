"""Custodians' shares over JSON, under /admin/v1/keys/unseal: by the socket in the server's own directory alone.

A sealed server has these routes and no others. Shares of a new split may come while it serves, too.
"""

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from mdm_async.errors import BadRequest, Forbidden, TooLarge
from mdm_async.keys.custodians import Custodians, Given
from mdm_async.keys.custody import LONGEST, CustodyShare
from mdm_async.web.http.credential import identified_caller_of
from mdm_async.web.http.expectation import ask_for_body
from mdm_async.web.http.local_socket import came_by_socket, demand_own_peer
from mdm_async.web.http.problem import Handler
from mdm_async.web.http.reply import json_reply

_PATH = "/admin/v1/keys/unseal"
CUSTODIANS = web.AppKey("custodians", Custodians)


def routes() -> list[web.AbstractRouteDef]:
    """Of a server that serves: it finds out who asks before it refuses them."""
    return _routes(_of_somebody)


def sealed_routes() -> list[web.AbstractRouteDef]:
    """Of one that has no keys yet, and knows nobody."""
    return _routes(lambda handler: handler)


def _routes(made: Callable[[Handler], Handler]) -> list[web.AbstractRouteDef]:
    return [
        web.get(_PATH, made(show)),
        web.post(_PATH, made(unseal)),
        web.delete(_PATH, made(forget)),
    ]


def _of_somebody(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        await identified_caller_of(request)
        return await handler(request)

    return handle


async def show(request: web.Request) -> web.Response:
    return json_reply(request, _told(_custodians(request)))


async def unseal(request: web.Request) -> web.Response:
    """Takes one share, as `mdm keys split` made it."""
    custodians = _custodians(request)
    await custodians.take(CustodyShare.parse(await _share(request)))
    return json_reply(request, _told(custodians))


async def forget(request: web.Request) -> web.Response:
    custodians = _custodians(request)
    custodians.forget()
    return json_reply(request, _told(custodians))


def _custodians(request: web.Request) -> Custodians:
    if not came_by_socket(request):
        raise Forbidden("shares are taken by the socket in the server's own directory", remedy=_REMEDY)
    demand_own_peer(request)
    return request.app[CUSTODIANS]


async def _share(request: web.Request) -> str:
    # Those who may connect are the administrator: no budget is held for a body as short as this.
    await ask_for_body(request)
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > 2 * LONGEST:
            raise TooLarge("this is longer than any share")
    try:
        share = orjson.loads(body)["share"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        share = None
    if not isinstance(share, str):
        raise BadRequest("the request's body is no JSON object with a share")
    return share


def _told(custodians: Custodians) -> dict[str, Any]:
    waits = custodians.waits
    return {
        "stores": [_store(one) for one in custodians.given()],
        "waits": None if waits is None else str(waits),
    }


def _store(one: Given) -> dict[str, Any]:
    return {
        "name": one.store,
        "open": one.is_open,
        "split": one.split,
        "given": list(one.indices),
        "threshold": one.threshold,
    }


_REMEDY = "run mdm keys unseal on its machine, as its user or root"
