"""aiohttp's server as this one wants it: bodies stay as they come, and what is not HTTP is a problem document."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import BadHttpMethod, HttpProcessingError, LineTooLong
from aiohttp.http_parser import RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD, StreamReader
from aiohttp.web_protocol import RequestHandler, _ErrInfo
from multidict import CIMultiDict, CIMultiDictProxy

from mdm_async.errors import BadRequest, HeadTooLarge, MdmError, NotSupported, UriTooLong
from mdm_async.web.http import problem
from mdm_async.web.http.boundary import Boundary
from mdm_async.web.http.discarding import discard, let_run_out
from mdm_async.web.http.expectation import EXPECTED
from mdm_async.web.http.metrics import UNREADABLE

_AHEAD = 32 << 10
"""Bytes of a body that are taken from the socket before somebody reads it; twice that at the most, and what one read
brings. Whoever takes more in raises it."""
_TOO_MANY_FIELDS = "Too many headers received"
"""aiohttp's words, by which alone this error is told from others."""


_REQUEST_LINE = re.compile(r"b'[A-Za-z-]{1,32} \S{1,8192} HTTP/1\.[01]'")
"""One that is well-formed, in aiohttp's words about a method that is not known to it."""


class Runner(web.AppRunner):
    """Serves an application, and later perhaps another one; its sites make the connections."""

    _plain: web.Server
    _request_factory: Callable[..., web.BaseRequest]

    async def change(self, app: web.Application) -> None:
        """From the next request on this one answers, on connections that are open, too."""
        before, self._app = self._app, app
        await self._take_up()
        await before.cleanup()

    async def _make_server(self) -> web.Server:
        await self._take_up()
        return web.Server(
            self._answer,
            request_factory=self._request,
            handler_cancellation=self._plain.handler_cancellation,
        )

    async def _take_up(self) -> None:
        plain = await super()._make_server()
        self._request_factory = _taking_expectations(plain.request_factory)
        self._plain = plain

    def _answer(self, request: web.BaseRequest) -> Awaitable[web.StreamResponse]:
        return self._plain.request_handler(request)

    def _request(self, *parts: Any) -> web.BaseRequest:
        return self._request_factory(*parts)


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


class Speaker(RequestHandler):
    """One client's connection, as far as it speaks HTTP."""

    __slots__ = ("_body", "_boundary", "_head", "_ignored", "_most_head", "_refused")

    def __init__(self, server: web.Server, *, max_head: int, **options: Any) -> None:
        options |= {"auto_decompress": False, "lingering_time": 0.0, "read_bufsize": _AHEAD}
        super().__init__(server, loop=asyncio.get_running_loop(), **options)
        self._most_head = max_head
        self._head = 0
        """Bytes of a head that has not come to its end."""
        self._body: StreamReader | None = None
        """That of the request whose head came last."""
        self._refused = False
        """What follows is not looked at: there is no telling where a request begins."""
        self._ignored = 0
        """Bytes of what follows."""
        self._boundary = Boundary()

    @property
    def awaits_request(self) -> bool:
        """Whether all that came is answered, and what comes next begins a request."""
        waiter = self._waiter  # There is none before the first request was looked for.
        waits = not self._request_count or (waiter is not None and not waiter.done())
        return (
            waits and not self._messages and self._boundary.is_here and not (self._close or self._force_close)
        )

    def data_received(self, data: bytes) -> None:
        if self._refused:
            self._ignored += len(data)
            return
        in_head = self._body is None or self._body.is_eof()
        known = self._request_count
        super().data_received(data)
        begun, message = self._request_count - known, None
        if begun:
            message, self._body = self._messages[-1]
            self._head, self._refused = 0, isinstance(message, _ErrInfo)
        elif in_head:
            self._head += len(data)
            if self._head > self._most_head:
                self._refuse(LineTooLong(b"", self._most_head))
        self._boundary.came(data, begun, message if isinstance(message, RawRequestMessage) else None)

    def _refuse(self, why: HttpProcessingError) -> None:
        """As the parser's own errors are answered: after what was asked for before."""
        self._refused = True
        self._messages.append((_ErrInfo(status=400, exc=why, message=""), EMPTY_PAYLOAD))
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        done, has_gone = await super().finish_response(request, resp, start_time)
        if not has_gone and not request.content.is_eof():
            await discard(request.content)
        elif not has_gone and self._refused:
            await let_run_out(lambda: self._ignored)
        return done, has_gone

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
            error = _unreadable(exc, self.max_line_size)
            UNREADABLE.labels(str(error.http)).inc()
        else:
            problem.log(exc if isinstance(exc, Exception) else Exception())
            error = MdmError("an unexpected failure; the server's log knows more")
        if request.writer.output_size > 0:
            raise ConnectionError("the answer has begun; only a cut connection tells that it is not whole")
        answer = problem.answer_to_no_request(error)
        answer.force_close()
        return answer


def _unreadable(why: BaseException | None, longest_line: int) -> MdmError:
    if isinstance(why, LineTooLong) and why.args[1:2] == (longest_line,):
        return UriTooLong()
    if isinstance(why, LineTooLong) or getattr(why, "message", "") == _TOO_MANY_FIELDS:
        return HeadTooLarge(remedy="shorten the request's URL and its header fields")
    if isinstance(why, BadHttpMethod) and _REQUEST_LINE.search(why.message):
        return NotSupported("no such method is known here")
    return BadRequest("this is not HTTP as RFC 9112 has it", remedy="is this the port for plain HTTP?")
