"""Errors as answers: RFC 9457 problem details, for every face that has no form of its own for them."""

from collections.abc import Awaitable, Callable, Collection, Mapping

import orjson
import structlog
from aiohttp import web

from mdm_async import scitags
from mdm_async.errors import BadRequest, MdmError, MethodNotAllowed, NotFound, UnsupportedMediaType
from mdm_async.seldom import Seldom
from mdm_async.web.http.encodings import demand_plain, is_misframed
from mdm_async.web.http.expectation import body_may_never_come, demand_known
from mdm_async.web.http.reply import fresh_id, reply, request_id

_CLIENT_HAS_GONE = 499
"""Told to nobody, but counted."""
_KIND = "application/problem+json"
_TO_GFAL2 = {422: 400, 429: 504, 500: 504, 503: 504}
"""gfal2 2.21 ends with exit code 0, which is success, after statuses that it does not know. 504 is one that it tries
again after."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = structlog.get_logger()
_FAILED = Seldom(60)
_REASONS = {404: "this server has nothing at addresses of this form"}
_HTTP_ERRORS: dict[int, type[MdmError]] = {404: NotFound, 405: MethodNotAllowed}


def answer(
    request: web.Request,
    error: MdmError,
    *,
    causes: Collection[MdmError] = (),
    beside: Mapping[str, object] | None = None,
    status: int | None = None,
) -> web.Response:
    """The problem details of `error`. `causes`: what it stands for, when that is several; `beside`: members that a
    face adds (RFC 9457 §3.2); `status`: what it has for this error, where that is another than everywhere."""
    status = _understood(request, status or error.http)
    document = _document(error, status, request_id(request), beside)
    answer = reply(request, document, _KIND, status, errors=causes or [error])
    if isinstance(error, UnsupportedMediaType):
        # RFC 9110 §15.5.16
        answer.headers["Accept-Encoding"] = "identity"
    return answer


def _understood(request: web.Request, status: int) -> int:
    """The status, in words that the client knows. What a COPY is refused for decides what gfal2 tries next."""
    if request.method == "COPY" or "gfal2" not in request.headers.get("User-Agent", ""):
        return status
    return _TO_GFAL2.get(status, status)


def answer_to_no_request(error: MdmError) -> web.Response:
    """The problem details of `error`, where what came could not be read as a request."""
    name = fresh_id()
    headers = {"Cache-Control": "no-store", "X-Request-Id": name}
    return web.Response(
        body=_document(error, error.http, name), status=error.http, content_type=_KIND, headers=headers
    )


def details(error: MdmError, status: int, name: str) -> dict[str, object]:
    """The members of the problem details of `error`; `name`: the request's."""
    problem: dict[str, object] = {
        "type": error.urn,
        "title": error.title,
        "status": status,
        "detail": error.detail,
        "requestId": name,
    }
    if error.remedy:
        problem["remedy"] = error.remedy
    return problem


def _document(error: MdmError, status: int, name: str, beside: Mapping[str, object] | None = None) -> bytes:
    return orjson.dumps(details(error, status, name) | dict(beside or {}))


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns every error into an answer, and logs what was not the caller's fault; refuses what no face takes."""
    request_id(request)
    # Of each request anew: those of one connection are answered by one task.
    scitags.shown.set(scitags.parse(request.headers.get("SciTag")))
    done = await _answered(request, handler)
    if (body_may_never_come(request) or is_misframed(request)) and not done.prepared:
        done.force_close()
    return done


async def name_answer(request: web.Request, done: web.StreamResponse) -> None:
    """Each answer tells its request's name, the streams of transfer URLs too."""
    done.headers["X-Request-Id"] = request_id(request)


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        demand_plain(request)
        demand_known(request)
        return await handler(request)
    except MdmError as error:
        log(error)
        return answer(request, error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        if isinstance(error, web.HTTPMethodNotAllowed) and request.method == "OPTIONS":
            return _options(error)
        told = answer(
            request, _HTTP_ERRORS.get(error.status, BadRequest)(_REASONS.get(error.status, error.reason))
        )
        if "Allow" in error.headers:
            told.headers["Allow"] = error.headers["Allow"]
        return told
    except ConnectionError:
        # Not raised further: to aiohttp it would be a mistake of the handler's.
        _log.debug("the client went away")
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=_CLIENT_HAS_GONE)
    except Exception as error:
        log(error)
        return answer(request, MdmError("an unexpected failure; the server's log knows more"))


def _options(error: web.HTTPMethodNotAllowed) -> web.Response:
    """What a path takes, where its face has no other answer (RFC 9110 §9.3.7)."""
    allowed = ", ".join(sorted(error.allowed_methods | {"OPTIONS"}))
    return web.Response(status=204, headers={"Allow": allowed, "Cache-Control": "no-store"})


def log(error: Exception) -> None:
    """Tell of what was not the caller's fault."""
    if not isinstance(error, MdmError):
        # The type only: a message or a traceback's values could hold what a user typed or a file held.
        _log.error("unexpected failure", kind=type(error).__name__, where=_where(error))
    elif error.http >= 500:
        # By where it was raised: what a stranger can make fail hides nothing else of the same title.
        unsaid = _FAILED.tell(" ".join([error.title, *_where(error)[-1:]]))
        if unsaid is not None:
            _log.warning("request failed", status=error.http, reason=error.detail, **unsaid)


def _where(error: BaseException) -> list[str]:
    frames = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{code.co_filename.rpartition('mdm_async/')[2]}:{trace.tb_lineno}")
        trace = trace.tb_next
    return frames[-6:]
