"""The program of one process of several that are a server together: `python -m mdm_async.processes.seated DESCRIPTOR`.

Whoever starts it hands it its settings and its sockets over that descriptor, which is its line from then on: once the
other end is closed, nobody keeps this process, and it ends.
"""

import asyncio
import os
import pickle
import signal
import sys
from functools import partial
from socket import socket

import structlog
import uvloop
from prometheus_client import generate_latest

from mdm_async.app import serve
from mdm_async.errors import MdmError
from mdm_async.line import Line
from mdm_async.own_process import close_to_others
from mdm_async.processes.process import Handed
from mdm_async.seat import OWN_METRICS, Seat
from mdm_async.web.http.doors import Doors
from mdm_async.web.http.local_site import LocalDoor

_log = structlog.get_logger()


def main(descriptor: int) -> int:
    close_to_others(())
    try:
        uvloop.run(_serve(descriptor))
    except MdmError as why:
        print(f"mdm: {why}", file=sys.stderr)
        return 1
    return 0


async def _serve(descriptor: int) -> None:
    line = await Line.over(_inherited(descriptor), _answer)
    try:
        handed: Handed = pickle.loads(await line.handed())  # noqa: S301 — from the process that started this one
    except asyncio.IncompleteReadError:  # Which ended meanwhile.
        return
    os.set_inheritable(handed.lock, False)
    seat = Seat(
        handed.number,
        handed.of,
        handed.target,
        Doors(_sockets(handed.plain), _sockets(handed.tls)),
        LocalDoor(_inherited(handed.local)),
        line,
        handed.archives,
    )
    hearing = asyncio.create_task(line.run())
    hearing.add_done_callback(partial(_left_alone, os.getpid()))
    try:
        await serve(handed.settings, seat)
    finally:
        hearing.cancel()


def _left_alone(pid: int, hearing: asyncio.Task[None]) -> None:
    """Whoever started this process is gone: nobody would replace it, and another server may want the ports."""
    if not hearing.cancelled():
        _log.error("the process that keeps this one has ended; draining")
        os.kill(pid, signal.SIGTERM)


def _sockets(descriptors: tuple[int, ...]) -> list[socket]:
    return [_inherited(each) for each in descriptors]


def _inherited(descriptor: int) -> socket:
    os.set_inheritable(descriptor, False)
    found = socket(fileno=descriptor)
    found.setblocking(False)
    return found


async def _answer(question: bytes) -> bytes:
    return generate_latest() if question == OWN_METRICS else b""


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1])))
