"""Errors as answers: RFC 9457 problem details with the request's id, in one place for every face but SRM's."""

import secrets
from collections.abc import Awaitable, Callable, Iterable

import orjson
import structlog
from aiohttp import web

from mdm_async import logs
from mdm_async.errors import BadRequest, MdmError, NotFound, NotSupported, TooLarge, Unauthenticated
from mdm_async.web.http.channel import CALLER, source_of
from mdm_async.web.http.house import HOUSE

_CLIENT_HAS_GONE = 499
"""Told to nobody."""
CHALLENGE = 'Bearer realm="mdm"'
REQUEST_ID = web.RequestKey("request_id", str)
ACT = web.RequestKey("act", str)
"""What a request tries to do, where its route alone does not say."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = structlog.get_logger()
_HTTP_ERRORS: dict[int, type[MdmError]] = {404: NotFound, 405: NotSupported, 413: TooLarge}


def response(error: MdmError, request: web.Request, tree: dict[str, object] | None = None) -> web.Response:
    """`error` as an HTTP answer; `tree` instead of the problem details when the face has its own form."""
    body = tree or {
        "type": error.urn,
        "title": error.title,
        "status": error.http,
        "detail": error.detail,
        "requestId": request.get(REQUEST_ID, ""),
    } | ({"remedy": error.remedy} if error.remedy else {})
    headers = {"Cache-Control": "no-store", "X-Request-Id": request.get(REQUEST_ID, "")}
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, Unauthenticated):
        headers["WWW-Authenticate"] = CHALLENGE
    kind = "application/json" if tree else "application/problem+json"
    return web.Response(body=orjson.dumps(body), status=error.http, content_type=kind, headers=headers)


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Names every request, turns every error into an answer, and logs what was not the caller's fault."""
    request[REQUEST_ID] = secrets.token_hex(8)
    logs.request_id.set(request[REQUEST_ID])
    try:
        answer = await handler(request)
    except MdmError as error:
        log(error)
        note(request, [error])
        return response(error, request)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        answer = response(_HTTP_ERRORS.get(error.status, BadRequest)(error.reason), request)
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except ConnectionError:
        # Not raised further: to aiohttp it would be a mistake of the handler's.
        _log.debug("the client went away")
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=_CLIENT_HAS_GONE)
    except Exception as error:
        log(error)
        return response(MdmError("an unexpected failure; the server's log knows more"), request)
    if not answer.prepared:
        answer.headers.setdefault("X-Request-Id", request[REQUEST_ID])
    return answer


def note(request: web.Request, errors: Iterable[MdmError]) -> None:
    """Keep refused accesses for the audit, without making this answer wait."""
    for error in errors:
        if error.is_refusal or error.refusal is not None:
            house = request.app[HOUSE]
            house.refusals.note(error, request.get(CALLER), source_of(request), _act(request))


def _act(request: web.Request) -> str:
    """What was tried: an operation, or method and route; never a path that holds a name or a token."""
    resource = request.match_info.route.resource
    return request.get(ACT) or f"{request.method} {resource.canonical if resource is not None else '?'}"


def log(error: Exception) -> None:
    """Tell of what was not the caller's fault."""
    if not isinstance(error, MdmError):
        # The type only: a message or a traceback's values could hold what a user typed or a file held.
        _log.error("unexpected failure", kind=type(error).__name__, where=_where(error))
    elif error.http >= 500:
        _log.warning("request failed", status=error.http, reason=error.detail)


def _where(error: BaseException) -> list[str]:
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('mdm_async/')[2]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return frames[-6:]
