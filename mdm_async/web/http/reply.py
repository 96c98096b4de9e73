"""The one writer of answers that are no bytes of a view: body, status, headers that go with it, the audit's note."""

import random
from collections.abc import Collection, Mapping

import orjson
from aiohttp import web

from mdm_async import logs
from mdm_async.errors import MdmError, Unauthenticated
from mdm_async.web.http.channel import source_of
from mdm_async.web.http.credential import CALLER
from mdm_async.web.http.house import HOUSE

JSON = "application/json"
CHALLENGE = 'Bearer realm="mdm"'
ACT = web.RequestKey("act", str)
"""What a request tries to do, where its route alone does not say."""
_REQUEST_ID = web.RequestKey("request_id", str)


def reply(
    request: web.Request,
    body: bytes,
    kind: str,
    status: int = 200,
    *,
    errors: Collection[MdmError] = (),
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    """`errors`: why the request, or some of its files, failed. Refused accesses among them go into the audit, which
    makes this answer wait for nothing."""
    answer = web.Response(body=body, status=status, content_type=kind, headers=headers)
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Request-Id"] = request_id(request)
    waits = [error.retry_after for error in errors if error.retry_after is not None]
    if waits and status >= 400:
        answer.headers["Retry-After"] = str(max(waits))
    if status == Unauthenticated.http:
        answer.headers["WWW-Authenticate"] = CHALLENGE
    _note(request, errors)
    return answer


def json_reply(
    request: web.Request,
    tree: object,
    status: int = 200,
    *,
    errors: Collection[MdmError] = (),
    headers: Mapping[str, str] | None = None,
) -> web.Response:
    body = orjson.dumps(tree, default=str)  # asyncpg's UUIDs are a subclass, which orjson does not know
    return reply(request, body, JSON, status, errors=errors, headers=headers)


def fresh_id() -> str:
    # A name, not a secret: the system's randomness would cost more than all that is done with it.
    return f"{random.getrandbits(64):016x}"


def request_id(request: web.Request) -> str:
    """The request's name in its answer and in the log."""
    if _REQUEST_ID not in request:
        request[_REQUEST_ID] = fresh_id()
        logs.request_id.set(request[_REQUEST_ID])
    return request[_REQUEST_ID]


def _note(request: web.Request, errors: Collection[MdmError]) -> None:
    for error in errors:
        if error.is_refusal or error.refusal is not None:
            request.app[HOUSE].refusals.note(error, request.get(CALLER), source_of(request), act_of(request))


def act_of(request: web.Request) -> str:
    """What was tried: an operation, or method and route; never a path that holds a name or a token."""
    resource = request.match_info.route.resource
    return request.get(ACT) or f"{request.method} {resource.canonical if resource is not None else '?'}"
