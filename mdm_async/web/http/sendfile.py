"""Bytes from a file to a socket without passing through Python.

uvloop has no sendfile of its own; a duplicate of the socket's descriptor with `os.sendfile` and a writer callback
works, once the transport's buffer is empty. Pages that are not in memory would block the loop for milliseconds, so
they are looked for first and read ahead in the disk pool.
"""

import asyncio
import os
import socket
from concurrent.futures import Executor

STEP = 1 << 20
"""Bytes sent between two looks at whether the transfer may go on."""

_PROBE = bytearray(1)


async def send(transport: asyncio.Transport, descriptor: int, offset: int, size: int, disk: Executor) -> None:
    """Send a step of a file. The transport's buffer must be empty (`flushed`).

    Raises ConnectionError when the client has gone, or EOFError when the file is shorter.
    """
    loop = asyncio.get_running_loop()
    own = _duplicate(transport)
    try:
        while size:
            step = min(size, 256 << 10)
            if not _in_memory(descriptor, offset, step):
                await loop.run_in_executor(disk, _read_ahead, descriptor, offset, step)
            sent = await _send_some(loop, own, descriptor, offset, step)
            if sent == 0:
                raise EOFError("the file is shorter than announced")
            offset, size = offset + sent, size - sent
    finally:
        os.close(own)


async def flushed(transport: asyncio.Transport) -> None:
    """Wait until all that was written has left the transport's buffer."""
    while transport.get_write_buffer_size():
        if transport.is_closing():
            raise ConnectionResetError("the client has gone")
        await asyncio.sleep(0.001)


def _duplicate(transport: asyncio.Transport) -> int:
    connection: socket.socket | None = transport.get_extra_info("socket")
    if connection is None or transport.is_closing() or connection.fileno() < 0:
        raise ConnectionResetError("the client has gone")
    return os.dup(connection.fileno())


async def _send_some(
    loop: asyncio.AbstractEventLoop, out: int, descriptor: int, offset: int, size: int
) -> int:
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


def _in_memory(descriptor: int, offset: int, size: int) -> bool:
    try:
        for place in (offset, offset + size - 1):
            os.preadv(descriptor, [_PROBE], place, os.RWF_NOWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return False
    return True


def _read_ahead(descriptor: int, offset: int, size: int) -> None:
    os.pread(descriptor, size, offset)
