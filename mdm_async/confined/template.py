"""A fresh interpreter that never sees a foreign byte: it imports what workers need, gives up all it could do, and then
forks a worker whenever it is asked to.

It is started by `processes.Template`, with a socket as standard input, and ends when that is closed. So do workers,
which end with it. One that is asked for gets a socket of its own for jobs, and is told apart by another, over which
its pid and process descriptor are sent, and at its end its exit code.

A job is anything that can be pickled and has `run()`; `answers` says what may come back, and how.
"""

import gc
import json
import logging
import os
import pickle
import pkgutil
import resource
import select
import signal
import socket
import struct
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

from mdm_async.confined import answers, kernel, landlock, seccomp
from mdm_async.confined.own_user import become, can_be_reached

OUT_OF_MEMORY: Final = 3
"""The exit code of a worker whose job was too large."""
CODE: Final = struct.Struct("i")
_MESSAGE: Final = 1 << 16
_FILES: Final = 64
"""That a worker can have open: modules that are imported late."""


@dataclass(frozen=True)
class Asked:
    """What a template is to be. Its server sends it first, as JSON."""

    path: tuple[str, ...]
    """Where modules are found."""
    modules: tuple[str, ...]
    """To be imported before anything else, and made `warm`; those that are not there are passed over."""
    readable: tuple[str, ...]
    """What workers can read."""
    user: tuple[int, int] | None
    """uid and gid to become."""


@dataclass(frozen=True)
class Had:
    """What the kernel and its administrator let it give up."""

    user: bool
    landlock: int
    """ABI; 0 without."""
    seccomp: bool

    def __str__(self) -> str:
        own = "own user, " * self.user
        kernels = [f"Landlock {self.landlock}"] * bool(self.landlock) + ["seccomp"] * self.seccomp
        if not kernels:
            return f"{own and own + 'and '}neither Landlock nor seccomp: this kernel has none"
        return own + ", ".join(kernels)


@dataclass(frozen=True)
class Limits:
    """Of one worker."""

    memory: int
    """Bytes of address space."""
    seconds: int
    """Of CPU, for each job."""


def main() -> None:
    for ignored in (signal.SIGINT, signal.SIGTERM):  # sent to the whole group; the server still drains
        signal.signal(ignored, signal.SIG_IGN)
    control = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=os.dup(0))
    asked = Asked(**json.loads(control.recv(_MESSAGE)))
    _import(asked)
    had = _give_up(asked)
    gc.collect()
    gc.freeze()
    control.send(json.dumps(vars(had)).encode())
    _serve(control)


def _import(asked: Asked) -> None:
    logging.disable()  # what libraries say of a file could quote it
    # A process with threads cannot be forked, nor confined as a whole.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    for name in (*asked.modules, *_encodings()):
        with suppress(ImportError):
            module = import_module(name)
            getattr(module, "warm", _nothing)()
    del os.environ["OPENBLAS_NUM_THREADS"]


def _nothing() -> None:
    """Of a module that needs no warming."""


def _encodings() -> Iterable[str]:
    """Of text, which Python imports when it meets them."""
    package = import_module("encodings")
    return (f"encodings.{each.name}" for each in pkgutil.iter_modules(package.__path__))


def _give_up(asked: Asked) -> Had:
    for limit in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(limit, (0, 0))
    kernel.prctl(kernel.NO_NEW_PRIVILEGES, kernel.number(1))
    # Before the user changes, who may not be able to walk to all of this.
    version = landlock.restrict(map(Path, asked.readable))
    user = asked.user is not None and become(*asked.user, reading=_needed(asked))
    kernel.prctl(kernel.DUMPABLE, kernel.number(0))
    # Workers will be denied signals too, but for their own process; they are others than this one.
    return Had(user, version, seccomp.deny_reaching_out(signals=True))


def _needed(asked: Asked) -> bool:
    """Whether another user could not read what Python imports late: as when root's Python lies in root's home. Landlock
    is then what says what is read, and has to be there."""
    return not all(can_be_reached(Path(place)) for place in asked.readable if Path(place).is_dir())


def _serve(control: socket.socket) -> None:
    poll = select.poll()
    poll.register(control, select.POLLIN)
    workers: dict[int, tuple[int, socket.socket]] = {}
    while True:
        for descriptor, _ in poll.poll():
            if descriptor != control.fileno():
                poll.unregister(descriptor)
                pid, told = workers.pop(descriptor)
                _, status = os.waitpid(pid, 0)
                os.close(descriptor)
                with told, suppress(OSError):
                    told.send(CODE.pack(os.waitstatus_to_exitcode(status)))
                continue
            message, descriptors, _, _ = socket.recv_fds(control, _MESSAGE, 2)
            if not message:
                return
            jobs, tell = descriptors
            limits = Limits(**json.loads(message))
            told = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=tell)
            parent = os.getpid()
            pid = os.fork()
            if not pid:
                _become_worker(parent, jobs, limits)
                _work(Connection(jobs), limits)
                os._exit(0)
            os.close(jobs)
            handle = os.pidfd_open(pid)
            workers[handle] = (pid, told)
            poll.register(handle, select.POLLIN)
            with suppress(OSError):
                socket.send_fds(told, [CODE.pack(pid)], [handle])


def _become_worker(parent: int, jobs: int, limits: Limits) -> None:
    kernel.prctl(kernel.PARENT_DEATH, kernel.number(signal.SIGKILL))
    if os.getppid() != parent:
        os._exit(1)
    os.dup2(1, 0)  # instead of the template's control; it is /dev/null
    os.closerange(3, jobs)
    os.closerange(jobs + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    resource.setrlimit(resource.RLIMIT_NOFILE, (_FILES, _FILES))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory, limits.memory))
    seccomp.allow_work_only()


def _work(pipe: Connection, limits: Limits) -> None:
    try:
        while _one_job(pipe, limits.seconds):
            pass
    except MemoryError:
        os._exit(OUT_OF_MEMORY)  # without a traceback: it could quote what the head holds
    except OSError:  # nobody waits for the answer any more
        os._exit(0)


def _one_job(pipe: Connection, seconds: int) -> bool:
    try:
        job: Any = pickle.loads(pipe.recv_bytes())  # noqa: S301 - of the server
    except EOFError:
        return False
    used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    resource.setrlimit(resource.RLIMIT_CPU, (int(used) + seconds, resource.RLIM_INFINITY))
    answers.send(pipe, answers.of(job), job)
    return True
