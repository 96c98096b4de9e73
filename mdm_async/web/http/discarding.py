"""The rest of a body whose request is answered: read and forgotten, so that its sender comes to read the answer.

Closing at once would reset the connection, and the reset may overtake the answer. All who do this together get so many
bytes a second, so that many who send what nobody wants keep nobody else waiting.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aiohttp import web
from aiohttp.streams import StreamReader

_SECONDS = 10.0
_PAUSE = 0.002
"""After each piece (some 256 KiB), times those who send."""
_now = 0
"""Bodies that are read so."""


async def discard(body: StreamReader) -> None:
    """Until it ends or breaks off, or for ten seconds."""
    with suppress(TimeoutError, ConnectionError, web.RequestPayloadError), _counted():
        async with asyncio.timeout(_SECONDS):
            while not body.is_eof():
                await body.readany()
                await asyncio.sleep(_PAUSE * _now)


@contextmanager
def _counted() -> Iterator[None]:
    global _now
    _now += 1
    try:
        yield
    finally:
        _now -= 1
