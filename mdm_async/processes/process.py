"""One of the processes that are a server together, as the one that starts it sees it."""

import asyncio
import pickle
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import structlog

from mdm_async.errors import MdmError
from mdm_async.line import Line
from mdm_async.settings import Settings, brings, part_of
from mdm_async.web.http.doors import Doors
from mdm_async.web.http.local_site import LocalDoor

PROGRAM: Final = "mdm_async.processes.seated"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
"""Seconds before one that ended is started again; doubled each time that it ends soon."""
_SOON = 60.0
_BEYOND_DRAINING = 20.0
"""Seconds after which one that has not ended is killed."""

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shared:
    """What all have: the settings as they were given, sockets that listen, and the directory's lock."""

    settings: Settings
    count: int
    target: str
    doors: Doors
    local: LocalDoor
    lock: int


@dataclass(frozen=True, slots=True)
class Handed:
    """What one is handed when it starts: descriptors, and its part of what is set for the node."""

    settings: Settings
    number: int
    of: int
    target: str
    plain: tuple[int, ...]
    tls: tuple[int, ...]
    local: int
    lock: int
    archives: frozenset[str]


class Process:
    """`number`: from 1. `answer` gives what it is told when it asks."""

    def __init__(
        self, shared: Shared, number: int, answer: "Callable[[Process, bytes], Awaitable[bytes]]"
    ) -> None:
        self.number = number
        self.line: Line | None = None
        self.is_ready = asyncio.Event()
        self._shared, self._answer = shared, answer
        self._process: asyncio.subprocess.Process | None = None
        self._hearing: asyncio.Task[None] | None = None
        self._begun = 0.0
        self._ending = False

    async def start(self) -> None:
        """Return when it serves. Raises MdmError when it ends before."""
        await self._spawn()
        assert self._process is not None
        ready, ended = asyncio.create_task(self.is_ready.wait()), asyncio.create_task(self._process.wait())
        try:
            await asyncio.wait((ready, ended), return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            ended.cancel()
        if not self.is_ready.is_set():
            raise MdmError(
                f"process {self.number} of the server did not start",
                remedy="see what it said before this line",
            )

    async def keep(self, replaced: Callable[[], None]) -> None:
        """Start it again whenever it ends, until `end`."""
        pause = _FIRST_PAUSE
        while self._process is not None:
            code = await self._process.wait()
            if self._ending:
                return
            if time.monotonic() - self._begun > _SOON:
                pause = _FIRST_PAUSE
            _log.error(
                "a process of the server ended unasked; starting it again", ended=self.number, code=code
            )
            while not await self._again(pause):
                pause = min(2 * pause, _LONGEST_PAUSE)
            pause = min(2 * pause, _LONGEST_PAUSE)
            if self._ending:
                return
            replaced()

    async def _again(self, pause: float) -> bool:
        """Whether it was started, or is not to be any more; not where the machine has no room for it now."""
        await asyncio.sleep(pause)
        if self._ending:
            return True
        try:
            await self._spawn()
        except OSError as why:
            _log.error("a process of the server cannot be started", ended=self.number, reason=why.strerror)
            return False
        return True

    async def end(self) -> None:
        """Have it drain; kill it when that takes too long."""
        self._ending = True
        process = self._process
        if process is not None and process.returncode is None:
            process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(self._shared.settings.server.drain_seconds + _BEYOND_DRAINING):
                    await process.wait()
            except TimeoutError:
                _log.error("a process of the server did not end; killing it", process_number=self.number)
                process.kill()
                await process.wait()
        if self._hearing is not None:
            await self._hearing

    async def _spawn(self) -> None:
        shared = self._shared
        self._begun = time.monotonic()
        self.is_ready.clear()
        handed = Handed(
            part_of(shared.settings, self.number, shared.count),
            self.number,
            shared.count,
            shared.target,
            tuple(each.fileno() for each in shared.doors.plain),
            tuple(each.fileno() for each in shared.doors.tls),
            shared.local.listener.fileno(),
            shared.lock,
            frozenset(
                one.name for one in shared.settings.pacs.sources if brings(one, self.number, shared.count)
            ),
        )
        ours, its = socket.socketpair()
        with its:
            passed = (*handed.plain, *handed.tls, handed.local, handed.lock, its.fileno())
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                PROGRAM,
                str(its.fileno()),
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=passed,
            )
        self.line = await Line.over(ours, lambda question: self._answer(self, question))
        await self.line.hand(pickle.dumps(handed))
        self._hearing = asyncio.create_task(self.line.run())
