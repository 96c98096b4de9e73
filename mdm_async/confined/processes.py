"""The server's side of confined processes: a template, and the workers that it forks."""

import atexit
import json
import os
import pickle
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from mdm_async.confined import answers, places
from mdm_async.confined.answers import Answer, Unreadable
from mdm_async.confined.own_user import nobody
from mdm_async.confined.template import CODE, Asked, Had, Limits

LOST: Final = 255
"""The exit code of a worker whose template has gone, too."""
_START: Final = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
_ABOVE_THIS_PACKAGE: Final = Path(__file__).parents[2]
_MAIN: Final = "from mdm_async.confined.template import main; main()"
_REAPED: Final = 10.0
"""Seconds until the exit code of a dead process is known."""
_STARTED, _FORKED = 120.0, 30.0
"""Seconds that a template may take to be ready, and to fork: one that takes longer is replaced."""
_MESSAGE: Final = 1 << 16


class Died(Exception):
    """A process ended at its job with this exit code, or hung (None)."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


def template_of(modules: Iterable[str], withheld: Iterable[Path]) -> "Template":
    """The one of this process. Its workers can read where Python and its packages lie, but nothing that is withheld."""
    readable = places.apart_from(withheld, places.of_this_python())
    # "" is the folder we are in. An editable installation is on no path, but found by a hook of `site`.
    path = (*(os.path.abspath(entry) for entry in sys.path), str(_ABOVE_THIS_PACKAGE))  # noqa: PTH100
    return _template(Asked(path, tuple(modules), tuple(map(str, readable)), nobody()))


class Template:
    """Starts workers. Another one takes its place when it is killed. For several threads."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._lock = threading.Lock()
        self._running: _Running | None = None

    def had(self) -> Had:
        """What it could give up, once it has. Raises Died."""
        with self._lock:
            try:
                return self._at_hand().had()
            except OSError as why:
                raise Died(LOST) from why

    def worker(self, limits: Limits) -> "Worker":
        """Raises Died when none can be started."""
        with self._lock:
            try:
                return self._at_hand().worker(limits)
            except (OSError, EOFError, Died):
                self._end()  # it has been killed; another one is started once
            try:
                return self._at_hand().worker(limits)
            except (OSError, EOFError) as why:
                raise Died(LOST) from why

    def stop(self) -> None:
        with self._lock:
            self._end()

    def _at_hand(self) -> "_Running":
        if self._running is None:
            self._running = _Running(self._asked)
        return self._running

    def _end(self) -> None:
        if self._running is not None:
            self._running.end()
            self._running = None


@cache
def _template(asked: Asked) -> Template:
    template = Template(asked)
    atexit.register(template.stop)
    return template


class _Running:
    def __init__(self, asked: Asked) -> None:
        self._control, far_end = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(_STARTED)
        self._had: Had | None = None
        with far_end:
            self._process = subprocess.Popen(  # noqa: S603 - this very interpreter
                [sys.executable, "-I", "-S", "-c", _START + _MAIN, json.dumps(asked.path)],
                stdin=far_end.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={},
                start_new_session=True,
            )
        self._control.send(json.dumps(vars(asked)).encode())

    def had(self) -> Had:
        if self._had is None:
            told = self._control.recv(_MESSAGE)
            if not told:
                raise Died(self._process.wait())
            self._had = Had(**json.loads(told))
        return self._had

    def worker(self, limits: Limits) -> "Worker":
        self.had()
        with ExitStack() as undone:
            jobs, far_jobs = map(undone.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM))
            told, far_told = map(
                undone.enter_context, socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            )
            ends = [far_jobs.fileno(), far_told.fileno()]
            socket.send_fds(self._control, [json.dumps(vars(limits)).encode()], ends)
            far_jobs.close()
            far_told.close()
            told.settimeout(_FORKED)
            message, handles, _, _ = socket.recv_fds(told, CODE.size, 1)
            if not handles:
                raise EOFError
            undone.pop_all()
        return Worker(Connection(jobs.detach()), told, CODE.unpack(message)[0], handles[0])

    def end(self) -> None:
        self._control.close()
        self._process.kill()
        self._process.wait()


class Worker:
    """A process that does one job after the other."""

    def __init__(self, pipe: Connection, told: socket.socket, pid: int, handle: int) -> None:
        self.pid = pid
        self.jobs = 0
        """That it was given."""
        self._pipe, self._told, self._handle = pipe, told, handle
        self._lock = threading.Lock()

    @property
    def alive(self) -> bool:
        poll = select.poll()
        poll.register(self._handle, select.POLLIN)
        return not poll.poll(0)

    def ask(self, job: Any, patience: float, most: int) -> Answer:
        """`patience` in seconds, from the job's first byte to the answer's last; `most` bytes. Raises Died."""
        self.jobs += 1
        # One that was taken over may also read half of a job, or write half of an answer.
        hung = threading.Event()
        watch = threading.Timer(patience, self._hangs, [hung])
        watch.daemon = True
        watch.start()
        try:
            self._pipe.send_bytes(pickle.dumps(job, pickle.HIGHEST_PROTOCOL))
            if not self._pipe.poll(patience):
                raise Died(None)
            return answers.receive(self._pipe, job, most)
        except (EOFError, OSError) as why:
            raise Died(None if hung.is_set() else self._exit_code()) from why
        except Unreadable as why:
            raise Died(None) from why
        finally:
            watch.cancel()

    def _hangs(self, hung: threading.Event) -> None:
        hung.set()
        self.kill()

    def _exit_code(self) -> int:
        self._told.settimeout(_REAPED)
        try:
            told = self._told.recv(CODE.size)
        except OSError:
            told = b""
        return int(CODE.unpack(told)[0]) if told else LOST

    def kill(self) -> None:
        with self._lock, suppress(ProcessLookupError):
            if self._handle >= 0:
                signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    def stop(self) -> None:
        """Kill it, and let go of it."""
        self.kill()
        with self._lock:
            if self._handle >= 0:
                self._pipe.close()
                self._told.close()
                os.close(self._handle)
                self._handle = -1
