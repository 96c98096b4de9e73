"""Errors as answers: RFC 9457 problem details, for every face that has no form of its own for them."""

from collections.abc import Awaitable, Callable

import orjson
import structlog
from aiohttp import web

from mdm_async.errors import BadRequest, MdmError, NotFound, NotSupported, TooLarge
from mdm_async.web.http.reply import reply, request_id

_CLIENT_HAS_GONE = 499
"""Told to nobody."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_log = structlog.get_logger()
_HTTP_ERRORS: dict[int, type[MdmError]] = {404: NotFound, 405: NotSupported, 413: TooLarge}


def answer(request: web.Request, error: MdmError) -> web.Response:
    """The problem details of `error`."""
    problem = {
        "type": error.urn,
        "title": error.title,
        "status": error.http,
        "detail": error.detail,
        "requestId": request_id(request),
    }
    if error.remedy:
        problem["remedy"] = error.remedy
    return reply(request, orjson.dumps(problem), "application/problem+json", error.http, errors=[error])


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Names every request, turns every error into an answer, and logs what was not the caller's fault."""
    name = request_id(request)
    try:
        done = await handler(request)
    except MdmError as error:
        log(error)
        return answer(request, error)
    except web.HTTPException as error:
        if error.status < 400:
            raise
        told = answer(request, _HTTP_ERRORS.get(error.status, BadRequest)(error.reason))
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
    if not done.prepared:
        done.headers["X-Request-Id"] = name
    return done


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
