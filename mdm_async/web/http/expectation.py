"""Expect: 100-continue (RFC 9110 §10.1.1): the body is asked for by whoever begins to read it, and not before.

aiohttp asks for it as soon as a route is found, whoever calls, and of HTTP/1.0 clients too, so it is never shown the
header (`web/http/server.py` takes it off).
"""

from aiohttp import web
from aiohttp.http import HttpVersion11

from mdm_async.errors import ExpectationFailed

EXPECTED = web.RequestKey("expected", str)
"""What the header said, while nobody has asked for the body."""


def demand_known(request: web.Request) -> None:
    """Raises ExpectationFailed."""
    expected = request.get(EXPECTED, "100-continue")
    if request.version >= HttpVersion11 and expected.strip().lower() != "100-continue":
        raise ExpectationFailed(remedy="expect '100-continue' or nothing")


async def ask_for_body(request: web.Request) -> None:
    """Call before the body's first byte is read, once it is known that it may come."""
    if request.get(EXPECTED) is None:
        return
    del request[EXPECTED]
    # A client of HTTP/1.0 would take it for the answer.
    if request.version >= HttpVersion11 and not request.content.is_eof():
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # What was written is no part of the answer; aiohttp counts it otherwise.
        request.writer.output_size = 0


def body_may_never_come(request: web.Request) -> bool:
    """The client may send the body or not, so that what follows on its connection cannot be told apart."""
    return EXPECTED in request and not request.content.is_eof()
