"""aiohttp's server as this one wants it: bodies stay as they come, and what is not HTTP is a problem document."""

from collections.abc import Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.web_protocol import RequestHandler
from multidict import CIMultiDict, CIMultiDictProxy

from mdm_async.errors import BadRequest, HeadTooLarge, MdmError
from mdm_async.web.http import problem
from mdm_async.web.http.expectation import EXPECTED
from mdm_async.web.http.metrics import UNREADABLE


class Runner(web.AppRunner):
    """Serves an application over `Connection`s."""

    async def _make_server(self) -> web.Server:
        plain = await super()._make_server()
        return _Server(
            plain.request_handler,
            request_factory=_taking_expectations(plain.request_factory),
            handler_cancellation=plain.handler_cancellation,
            **plain._kwargs,
        )


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        # aiohttp's own would fall back to its defaults, decompression among them, if an option did not fit.
        return Connection(self, loop=self._loop, auto_decompress=False, **self._kwargs)


def _taking_expectations(make: Callable[..., web.BaseRequest]) -> Callable[..., web.BaseRequest]:
    def made(message: Any, *others: Any) -> web.BaseRequest:
        expected = message.headers.get("Expect")
        if expected is None:
            return make(message, *others)
        headers = CIMultiDict(message.headers)
        del headers["Expect"]
        request = make(message._replace(headers=CIMultiDictProxy(headers)), *others)
        request[EXPECTED] = expected
        return request

    return made


class Connection(RequestHandler):
    """One client's connection."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what could not be read as HTTP, and to what went wrong outside of any handler.

        Nothing of what was sent is repeated or logged: it may be a name or a token that somebody mistyped.
        """
        if status < 500:
            error = _unreadable(exc)
            UNREADABLE.labels(str(error.http)).inc()
        else:
            problem.log(exc if isinstance(exc, Exception) else Exception())
            error = MdmError("an unexpected failure; the server's log knows more")
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun; only a cut connection tells that it is not whole")
        answer = problem.answer_to_no_request(error)
        answer.force_close()
        return answer


def _unreadable(why: BaseException | None) -> MdmError:
    if isinstance(why, LineTooLong):
        return HeadTooLarge(remedy="shorten the request's URL and its header fields")
    return BadRequest("this is not HTTP as RFC 9112 has it", remedy="is this the port for plain HTTP?")
