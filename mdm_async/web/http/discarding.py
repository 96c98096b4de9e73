"""The rest of what is answered already: read and forgotten, so that its sender comes to read the answer.

Closing at once would reset the connection, and the reset may overtake the answer. All who do this together get so many
bytes a second, so that many who send what nobody wants keep nobody else waiting.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from aiohttp import web
from aiohttp.streams import StreamReader

_SECONDS = 10.0
_PAUSE = 0.002
"""After each piece (some 256 KiB), times those who send."""
_QUIET, _BRIEFLY = 0.05, 1.0
"""Seconds: of what is no request nobody knows where it ends. It has ended when nothing came for so long."""
_now = 0
"""Bodies that are read so."""


async def discard(body: StreamReader) -> None:
    """Until it ends or breaks off, or for ten seconds."""
    with suppress(TimeoutError, ConnectionError, web.RequestPayloadError), _counted():
        async with asyncio.timeout(_SECONDS):
            while not body.is_eof():
                await body.readany()
                await asyncio.sleep(_PAUSE * _now)


async def let_run_out(come: Callable[[], int]) -> None:
    """Until nothing more comes of what is no request, or for a second. `come`: bytes that have come of it."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_BRIEFLY):
            before = -1
            while before != come():
                before = come()
                await asyncio.sleep(_QUIET)


@contextmanager
def _counted() -> Iterator[None]:
    global _now
    _now += 1
    try:
        yield
    finally:
        _now -= 1
