"""Attackers, in a process of their own: `python -m bench.besieger` reads what to do from its standard input, says
`begun` once it does it, and goes on until its standard input ends. It is as polite to this machine as can be (`nice`),
for real attackers run on others."""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from typing import Any
from urllib.parse import urlsplit

import orjson
import uvloop

from bench.connection import Connection, WrongAnswer
from bench.load import request_head

_SOURCE = "127.0.0.2"
"""Not the neighbour's."""
_WINDOW = 4 << 10
_BYTES_PER_SECOND = 1_300
_REFUSED_SECONDS = 0.05
"""How long a loop waits that was refused: much shorter than it was told to."""


@dataclass(frozen=True, slots=True)
class Attack:
    """`kind` is a key of ATTACKS; `many` loops, readers or requests; `files` in each request."""

    kind: str
    host: str
    port: int
    token: str
    many: int
    surls: list[str]
    files: int = 1
    transfer_url: str = ""

    def to_json(self) -> bytes:
        return orjson.dumps(asdict(self)) + b"\n"

    async def connection(self) -> Connection:
        return await Connection.open(self.host, self.port, _SOURCE)

    def _files(self) -> list[dict[str, str]]:
        return [{"surl": surl} for surl in islice(cycle(self.surls), self.files)]

    async def prepare(self, connection: Connection) -> bool:
        """Whether it was not refused."""
        body = orjson.dumps({"files": self._files(), "view": "basic"})
        headers = {"Content-Length": str(len(body))}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        head = request_head("POST", "/srm/v2/prepareToGet", self.host, headers)
        answer = await connection.ask(head.encode() + body)
        return answer.status != 429


async def _loops(attack: Attack, begun: Callable[[], None]) -> None:
    """They prepare for ever and release nothing."""

    async def loop() -> None:
        while True:
            with suppress(WrongAnswer, OSError):
                connection = await attack.connection()
                try:
                    while True:
                        if not await attack.prepare(connection):
                            await asyncio.sleep(_REFUSED_SECONDS)
                finally:
                    connection.close()
            await asyncio.sleep(_REFUSED_SECONDS)

    begun()
    await asyncio.gather(*(loop() for _ in range(attack.many)))


async def _outstanding(attack: Attack, begun: Callable[[], None]) -> None:
    """So many requests are made, and none of them is released."""
    connections = [await attack.connection() for _ in range(32)]
    numbers = iter(range(attack.many))

    async def take(connection: Connection) -> None:
        for _ in numbers:
            while not await attack.prepare(connection):  # noqa: ASYNC110
                await asyncio.sleep(1)

    await asyncio.gather(*map(take, connections))
    begun()
    await asyncio.Event().wait()


async def _readers(attack: Attack, begun: Callable[[], None]) -> None:
    """Readers at a kilobyte a second, with small windows; who is refused comes again."""
    request = request_head("GET", urlsplit(attack.transfer_url).path, attack.host).encode()
    loop = asyncio.get_running_loop()

    async def read() -> None:
        while True:
            with suppress(OSError), ExitStack() as stack:
                line = stack.enter_context(socket.socket())
                line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW)
                line.setblocking(False)
                line.bind((_SOURCE, 0))
                await loop.sock_connect(line, (attack.host, attack.port))
                await loop.sock_sendall(line, request)
                while await loop.sock_recv(line, _BYTES_PER_SECOND):  # noqa: ASYNC110
                    await asyncio.sleep(1)
            await asyncio.sleep(1)

    async with asyncio.TaskGroup() as group:
        for number in range(attack.many):
            group.create_task(read())
            if number % 100 == 0:
                await asyncio.sleep(0.05)
        await asyncio.sleep(1)
        begun()


ATTACKS: dict[str, Callable[[Attack, Callable[[], None]], Awaitable[None]]] = {
    "loops": _loops,
    "outstanding": _outstanding,
    "readers": _readers,
}


def _say_begun() -> None:
    sys.stdout.write("begun\n")
    sys.stdout.flush()


async def _main() -> None:
    tree: dict[str, Any] = orjson.loads(sys.stdin.buffer.readline())
    attack = Attack(**tree)
    running = asyncio.ensure_future(ATTACKS[attack.kind](attack, _say_begun))
    over = asyncio.ensure_future(asyncio.to_thread(sys.stdin.buffer.read))
    await asyncio.wait((running, over), return_when=asyncio.FIRST_COMPLETED)
    if running.done():
        running.result()
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


if __name__ == "__main__":
    os.nice(19)
    uvloop.run(_main())
