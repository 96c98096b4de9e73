"""Bytes from a file to a socket without passing through Python.

uvloop has no sendfile of its own; a duplicate of the socket's descriptor with `os.sendfile` and a writer callback
works, once the transport's buffer is empty.
"""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable

from mdm_async.blobs.store import FileRange


async def send(
    transport: asyncio.Transport, drain: Callable[[], Awaitable[None]], piece: FileRange
) -> AsyncGenerator[int, None]:
    """Send a range of a file after all that was written before; yields how many bytes have gone, as they go.

    `drain` waits while the transport has paused its writer. Raises ConnectionError when the
    client has gone, or EOFError when the file is shorter.
    """
    await flushed(transport, drain)
    own = _duplicate(transport)
    try:
        offset, size = piece.offset, piece.size
        while size:
            sent = await _send_some(own, piece.descriptor, offset, size)
            if sent == 0:
                raise EOFError("the file is shorter than announced")
            offset, size = offset + sent, size - sent
            yield sent
    finally:
        os.close(own)


async def flushed(transport: asyncio.Transport, drain: Callable[[], Awaitable[None]]) -> None:
    """Wait until all that was written has left the transport's buffer: what sendfile sends would overtake it, and
    whose memory is used again would be sent as what it is by then."""
    if transport.is_closing():
        raise ConnectionResetError("the client has gone")
    low, high = transport.get_write_buffer_limits()
    # Its own flow control says when the last byte has left: its writer is paused while there is any.
    transport.set_write_buffer_limits(high=0)
    try:
        await drain()
    finally:
        if not transport.is_closing():
            transport.set_write_buffer_limits(high, low)


def _duplicate(transport: asyncio.Transport) -> int:
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is None or transport.is_closing() or connection.fileno() < 0:
        raise ConnectionResetError("the client has gone")
    return os.dup(connection.fileno())


async def _send_some(out: int, descriptor: int, offset: int, size: int) -> int:
    loop = asyncio.get_running_loop()
    while True:
        try:
            return os.sendfile(out, descriptor, offset, size)
        except (BlockingIOError, InterruptedError):
            writable = loop.create_future()
            loop.add_writer(out, _wake, writable)
            try:
                await writable
            finally:
                loop.remove_writer(out)


def _wake(writable: "asyncio.Future[None]") -> None:
    if not writable.done():
        writable.set_result(None)
