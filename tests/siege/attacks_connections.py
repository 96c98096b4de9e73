"""Connections as weapons: silence, halves of requests, idleness, uploads that stop or break."""

import asyncio
import socket
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from tests.siege.besieged import Besieged
from tests.web.made_images import made

SILENT = b""
HALF_HEADER = b"GET /health/live HTTP/1.1\r\nHost: local"
HALF_BODY = b"POST /srm/v2/ls HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"
IDLE = b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"
MANY = 500
_HELD = 2.0
_BROKEN, _SENT = 60, 6 << 20


@contextmanager
def flood(castle: Besieged, count: int, begun: bytes) -> Iterator[list[socket.socket]]:
    """So many connections from another address than the neighbour's, on each of which this was sent."""
    with ExitStack() as stack:
        lines = []
        for _ in range(count):
            line = stack.enter_context(castle.connection())
            line.sendall(begun)
            line.setblocking(False)
            lines.append(line)
        yield lines


def open_ones(lines: list[socket.socket]) -> int:
    """How many of them the server has not ended."""
    return sum(map(_is_open, lines))


def _is_open(line: socket.socket) -> bool:
    try:
        while line.recv(1 << 16):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    return False


async def silent_connections(castle: Besieged) -> None:
    await _hold(castle, SILENT)


async def half_headers(castle: Besieged) -> None:
    await _hold(castle, HALF_HEADER)


async def half_bodies(castle: Besieged) -> None:
    await _hold(castle, HALF_BODY)


async def idle_connections(castle: Besieged) -> None:
    await _hold(castle, IDLE)


async def _hold(castle: Besieged, begun: bytes) -> None:
    with flood(castle, MANY, begun):
        await asyncio.sleep(_HELD)


async def stalled_uploads(castle: Besieged) -> None:
    with ExitStack() as held:
        for line in await stalled(castle, 20):
            held.enter_context(line)
        await asyncio.sleep(_HELD)


def stalled(castle: Besieged, count: int) -> Awaitable[list[socket.socket]]:
    """So many uploads, of which a quarter comes."""
    return _stalled(castle, count, made(pixels=4 * _SENT))


async def _stalled(castle: Besieged, count: int, data: bytes) -> list[socket.socket]:
    surls = [f"{castle.ground}/stalled{number}.dcm" for number in range(count)]
    prepared = await castle.srm("prepareToPut", files=[{"surl": surl} for surl in surls], overwrite=True)
    return list(
        await asyncio.gather(*(_begun(castle, line["transferURL"], data) for line in prepared["files"]))
    )


async def _begun(castle: Besieged, url: str, data: bytes) -> socket.socket:
    line = castle.connection("127.0.0.1")
    line.setblocking(False)
    head = f"PUT {urlsplit(url).path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(data)}\r\n\r\n"
    loop = asyncio.get_running_loop()
    try:
        await loop.sock_sendall(line, head.encode())
        await loop.sock_sendall(line, memoryview(data)[:_SENT])
    except OSError:
        pass  # Refused, which is as good.
    return line


async def broken_uploads(castle: Besieged) -> None:
    for line in await stalled(castle, _BROKEN):
        line.close()
