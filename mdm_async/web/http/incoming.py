"""A file that comes as the body of a PUT: what is refused before it comes, and its bytes as they come."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager, suppress

from aiohttp import web

from mdm_async.errors import BadRequest, TooLarge, TooManyRequests, Truncated
from mdm_async.images.metrics import BYTES_IN, TRANSFERS_IN
from mdm_async.web.http.expectation import ask_for_body
from mdm_async.web.http.house import HOUSE


def demand_whole(request: web.Request) -> None:
    """Return when the body may come, as far as can be told without its bytes.

    Raises BadRequest, TooManyRequests, TooLarge.
    """
    house = request.app[HOUSE]
    if "Content-Range" in request.headers:
        # RFC 9110 §14.5
        raise BadRequest("uploads in pieces are not taken", remedy="PUT the whole file")
    if house.draining:
        raise TooManyRequests("the server is shutting down", retry_after=10)
    if (request.content_length or 0) > house.intake.largest:
        raise TooLarge(f"an upload may have {house.intake.largest} bytes at the most")


_AHEAD = 256 << 10
"""Bytes of an upload that are taken from the socket while those before them are worked on; twice that at the most.
The more there are, the fewer jobs it takes."""


@contextmanager
def coming(request: web.Request) -> Iterator[tuple[AsyncIterator[bytes], Callable[[], None]]]:
    """The body's bytes, and what cuts their connection. Raises Truncated when they broke off."""
    transport = request.transport
    if transport is None:
        raise ConnectionResetError("the client has gone")
    with TRANSFERS_IN.track_inprogress():
        try:
            yield _body(request), transport.abort
        except (web.RequestPayloadError, ConnectionError) as gone:
            raise Truncated("the upload broke off", remedy="upload it again") from gone


async def _body(request: web.Request) -> AsyncIterator[bytes]:
    counted = BYTES_IN
    await ask_for_body(request)
    request.content.set_read_chunk_size(_AHEAD)
    with suppress(asyncio.IncompleteReadError):
        async for chunk in request.content.iter_any():
            counted.inc(len(chunk))
            yield chunk
