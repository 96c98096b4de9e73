"""Attacks by one who has a credential: loops of requests, slow readers, trees, changes of names and rights."""

import asyncio
import io
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from urllib.parse import urlsplit

from tests.siege.besieged import WEAK, Besieged
from tests.web.made_images import made

LOOPS, FILES = 64, 200
LARGE = 8 << 20
_WINDOW = 4 << 10
_SLOW, _NAMES, _TREES = 200, 300, 40


async def own_files(castle: Besieged) -> list[dict[str, str]]:
    surls = [f"{castle.ground}/own{number}.dcm" for number in range(8)]
    prepared = await castle.srm("prepareToPut", files=[{"surl": surl} for surl in surls], overwrite=True)
    for number, file in enumerate(prepared["files"]):
        async with castle.http.put(file["transferURL"], data=made(seed=number)) as answer:
            assert answer.status == 201
    await castle.srm("putDone", requestToken=prepared["requestToken"], surls=surls)
    return [{"surl": surls[number % len(surls)]} for number in range(FILES)]


@asynccontextmanager
async def loops(castle: Besieged, files: list[dict[str, str]]) -> AsyncIterator[Counter[int]]:
    """While they run; counts the statuses of their answers."""
    answered = Counter[int]()

    async def loop() -> None:
        while True:
            answered[await castle.attack("prepareToGet", files=files)] += 1

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(loop()) for _ in range(LOOPS)]
        try:
            yield answered
        finally:
            for task in tasks:
                task.cancel()


@contextmanager
def slow_reader(castle: Besieged, url: str, source: str) -> Iterator[socket.socket]:
    """A reader with a window of a few kilobytes, who has asked and does not read."""
    line = socket.socket()
    with line:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _WINDOW)
        line.bind((source, 0))
        line.connect(("127.0.0.1", castle.process.port))
        line.sendall(f"GET {urlsplit(url).path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        line.setblocking(False)
        yield line


async def large_file(castle: Besieged) -> str:
    """A file of the attacker's, larger than what sockets take at once."""
    surl = f"{castle.ground}/large.dcm"
    prepared = await castle.srm("prepareToPut", files=[{"surl": surl}], overwrite=True)
    data = io.BytesIO(made(pixels=LARGE))
    async with castle.http.put(prepared["files"][0]["transferURL"], data=data) as answer:
        assert answer.status == 201, await answer.text()
    await castle.srm("putDone", requestToken=prepared["requestToken"], surls=[surl])
    return surl


async def prepares_without_end(castle: Besieged, seconds: float = 5) -> None:
    async with loops(castle, await own_files(castle)):
        await asyncio.sleep(seconds)


async def slow_readers(castle: Besieged, seconds: float = 5) -> None:
    surl = await large_file(castle)
    url = (await castle.srm("prepareToGet", files=[{"surl": surl}]))["files"][0]["transferURL"]
    with ExitStack() as readers:
        for _ in range(_SLOW):
            readers.enter_context(slow_reader(castle, url, WEAK))
            await asyncio.sleep(0)
        await asyncio.sleep(seconds)


async def refusals_by_thousands(castle: Besieged) -> None:
    for number in range(10):
        files = [{"surl": f"/home/none{number}-{file}"} for file in range(_NAMES)]
        for operation in ("prepareToGet", "prepareToPut", "bringOnline"):
            await castle.attack(operation, files=files)


async def trees_made_and_removed(castle: Besieged) -> None:
    """Deep ones, moved about and removed again."""
    for number in range(_TREES):
        top = f"{castle.ground}/tree{number}"
        await castle.attack("mkdir", surl=top + "/deeper" * 60, parents=True)
        await castle.attack("mv", fromSURL=top, toSURL=f"{top}-moved")
        await castle.attack("rmdir", surl=f"{top}-moved", recursive=True)
        await castle.attack("rmdir", surl=top, recursive=True)
