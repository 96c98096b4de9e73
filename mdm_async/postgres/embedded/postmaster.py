"""Which process is the postmaster of a data directory, told apart from strangers with a recycled pid.

Linux only: it reads /proc and holds processes by pidfd, so that a signal never reaches a stranger.
"""

import asyncio
import contextlib
import itertools
import os
import select
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from mdm_async.errors import Unavailable, UnsafeSettings

log = structlog.get_logger(__name__)


def check_system() -> None:
    """Raise UnsafeSettings where processes cannot be told apart safely."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except (AttributeError, OSError):
        raise UnsafeSettings(
            "the embedded Postgres needs Linux 5.3 or later",
            remedy="give mdm the DSN of a Postgres server",
        ) from None


class Process:
    """A running process, ours or adopted. Raises ProcessLookupError when there is none of that pid."""

    def __init__(self, pid: int, child: "subprocess.Popen[bytes] | None" = None) -> None:
        self.pid = pid
        self._child = child
        self._descriptor = os.pidfd_open(pid)

    def __repr__(self) -> str:
        return f"<Process {self.pid} {'alive' if self.alive else 'gone'}>"

    @property
    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return not poll.poll(0)

    def send(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)

    async def exited(self) -> None:
        """Wait for its end. Several tasks may wait."""
        loop = asyncio.get_running_loop()
        gone: asyncio.Future[None] = loop.create_future()
        descriptor = os.dup(self._descriptor)  # a loop holds one reader per descriptor

        def wake() -> None:
            loop.remove_reader(descriptor)
            if not gone.done():
                gone.set_result(None)

        loop.add_reader(descriptor, wake)
        try:
            await gone
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)

    async def ended_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.exited()
        except TimeoutError:
            return False
        return True

    def wait(self, seconds: float) -> bool:
        """Like `ended_within`, for code that runs outside the loop."""
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def close(self) -> None:
        """Let go of it; a child that has ended is reaped."""
        if self._descriptor >= 0:
            if self._child is not None and not self.alive:
                self._child.wait()
            os.close(self._descriptor)
            self._descriptor = -1


@dataclass(frozen=True)
class PidFile:
    """What postmaster.pid says: pid, data directory, …, socket directory, …, status, a line each."""

    pid: int
    data: str
    socket_directory: str
    ready: bool

    @classmethod
    def read(cls, data: Path) -> "PidFile | None":
        try:
            descriptor = os.open(data / "postmaster.pid", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        try:
            lines = os.read(descriptor, 8192).decode("utf-8", "surrogateescape").splitlines()
        finally:
            os.close(descriptor)
        lines += [""] * 8
        # A single-user backend writes its pid negative.
        pid = abs(int(lines[0])) if lines[0].strip().lstrip("-").isdigit() else 0
        return cls(pid, lines[1], lines[4], lines[7].strip() == "ready")


@dataclass(frozen=True)
class Cluster:
    """A data directory, who owns it, and the name that each of its processes shows in its title."""

    data: Path
    uid: int
    name: str

    def find_postmaster(self, program: Path) -> Process | None:
        """The running postmaster of this data directory, or None. One of a replaced `program` is stopped.

        Removes a postmaster.pid whose pid now belongs to a stranger, for Postgres would refuse to start.
        Raises Unavailable when another Postgres than `program` runs here.
        """
        found = PidFile.read(self.data)
        if found is None or found.pid == 0:
            return None
        try:
            process = Process(found.pid)
        except ProcessLookupError:
            return None  # Postgres itself clears what a dead process left
        if not (process.alive and found.data == str(self.data) and self._is_postmaster(found.pid)):
            log.info("removed a stale postmaster.pid", data=str(self.data), pid=found.pid)
            process.close()
            (self.data / "postmaster.pid").unlink(missing_ok=True)
            return None
        if self._runs(found.pid, program):
            return process
        executable = _link(found.pid, "exe") or "another program"
        if not executable.endswith(" (deleted)"):
            process.close()
            raise Unavailable(
                f"{self.data} is in use by {executable}, process {found.pid}",
                remedy="stop that process first",
            )
        log.info("stopping a Postgres whose binaries were replaced", pid=found.pid)
        process.send(signal.SIGINT)
        process.wait(60)
        process.close()
        return None

    def end_orphans(self) -> None:
        """End the backends that outlived their postmaster: they hold its shared memory and block a new start.

        Most leave by themselves within a moment; one in the middle of a long computation may not.
        """
        for number, patience in ((None, 2.0), (signal.SIGQUIT, 3.0), (signal.SIGKILL, 5.0)):
            orphans = [process for pid in _pids() if (process := self._orphan(pid)) is not None]
            deadline = time.monotonic() + patience
            for process in orphans:
                if number is not None:
                    log.warning("ending an orphaned Postgres backend", pid=process.pid, signal=number.name)
                    process.send(number)
                process.wait(max(0.0, deadline - time.monotonic()))
                process.close()
            if not orphans:
                return

    def _orphan(self, pid: int) -> Process | None:
        if not self._is_backend(pid):
            return None
        try:
            process = Process(pid)
        except ProcessLookupError:
            return None
        if process.alive and self._is_backend(pid):  # again: the pid may have changed hands in between
            return process
        process.close()
        return None

    def _is_postmaster(self, pid: int) -> bool:
        arguments = _arguments(pid)
        return (
            _owner(pid) == self.uid
            and len(arguments) > 2
            and Path(arguments[0]).name == "postgres"
            and ("-D", str(self.data)) in itertools.pairwise(arguments)
            and _link(pid, "cwd") in (str(self.data), None)
        )

    def _is_backend(self, pid: int) -> bool:
        title = " ".join(_arguments(pid))
        return (
            _owner(pid) == self.uid
            and title.startswith(f"postgres: {self.name}: ")
            and _link(pid, "cwd") in (str(self.data), None)
        )

    def _runs(self, pid: int, program: Path) -> bool:
        """Whether it runs this very file. Without leave to look, its command line has to do."""
        try:
            return Path(f"/proc/{pid}/exe").samefile(program)
        except PermissionError:
            return _arguments(pid)[0] == str(program)
        except FileNotFoundError:
            return False


def _pids() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _owner(pid: int) -> int | None:
    try:
        return Path(f"/proc/{pid}").stat().st_uid
    except OSError:
        return None


def _arguments(pid: int) -> list[str]:
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return []
    return [os.fsdecode(word) for word in line.rstrip(b"\0").split(b"\0")]


def _link(pid: int, name: str) -> str | None:
    """Where /proc/PID/cwd or exe points; None if we may not see it (root without CAP_SYS_PTRACE)."""
    try:
        return str(Path(f"/proc/{pid}/{name}").readlink())
    except PermissionError:
        return None
    except OSError:
        return "gone"
