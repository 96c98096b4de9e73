"""A process that runs a site's hook with nothing around it, and sees to it that nothing of it is left.

It is run by a fresh interpreter, in an empty directory that is the hook's own: `main(ASKED)`, with the control pipe's
descriptor in it. When the server closes that pipe, or is killed, the hook and all that it has started ends.

    launcher ── first (process 1 of its own process namespace, where the kernel lets us have one) ── hook
"""

import json
import os
import resource
import select
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mdm_async.confined import kernel, landlock, places, seccomp
from mdm_async.confined.own_user import become

_IPC, _USER, _PROCESSES, _NETWORK = 0x08000000, 0x10000000, 0x20000000, 0x40000000
"""Namespaces, unshare(2)."""
_FILES: Final = 256
"""Open at a time, for one process."""
_FAMILY: Final = 512
"""Processes and threads, where its user or namespace is its own."""
_WITH_OTHERS: Final = 8192
_FAILED: Final = 70


@dataclass(frozen=True)
class Asked:
    command: list[str]
    memory: int
    """Bytes."""
    seconds: int
    control: int
    """A pipe that ends when the hook shall."""
    readable: list[str]
    writable: str
    user: tuple[int, int] | None
    """uid and gid to become."""


def main() -> None:
    asked = Asked(**json.loads(sys.argv[1]))
    # What the server has open and did not mean to be inherited.
    os.closerange(3, asked.control)
    os.closerange(asked.control + 1, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    kernel.prctl(kernel.SUBREAPER, kernel.number(1))
    apart = _enter_namespaces()
    first = os.fork()
    if not first:
        _end_with_parent()
        os.close(asked.control)
        _be_first(asked, apart)
    for descriptor in (0, 1):  # the hook's
        os.close(descriptor)
    code = _ended(first, asked.control)
    _end_all()
    os._exit(code)


def _enter_namespaces() -> bool:
    """Without network, without others' processes. Whether the processes could be had apart."""
    for flags in (_PROCESSES | _NETWORK | _IPC, _USER | _PROCESSES | _NETWORK | _IPC):
        with suppress(OSError):
            kernel.unshare(flags)
            return True
    for flags in (_NETWORK, _USER | _NETWORK):
        with suppress(OSError):
            kernel.unshare(flags)
            break
    return False


def _be_first(asked: Asked, apart: bool) -> None:
    """Waits for the hook, and for what loses its parent. Its end is, in a namespace, the end of all of them."""
    hook = os.fork()
    if not hook:
        try:
            _become_hook(asked, apart)
        except BaseException:
            os._exit(_FAILED)
    for descriptor in (0, 1):
        os.close(descriptor)
    while True:
        pid, status = os.wait()
        if pid == hook:
            os._exit(_shown(status))


def _shown(status: int) -> int:
    """As shells have it."""
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _become_hook(asked: Asked, apart: bool) -> None:
    kernel.prctl(kernel.NO_NEW_PRIVILEGES, kernel.number(1))
    # Before the user changes, who may not be able to walk to all of this.
    version = landlock.restrict(
        places.DEVICES,
        executable=map(Path, asked.readable),
        writable=[Path(asked.writable), Path(os.devnull)],
    )
    own = asked.user is not None and become(*asked.user, reading=False)
    family = _FAMILY if own or apart else _WITH_OTHERS
    for limit, most in (
        (resource.RLIMIT_AS, asked.memory),
        (resource.RLIMIT_FSIZE, asked.memory),
        (resource.RLIMIT_CPU, asked.seconds),
        (resource.RLIMIT_NOFILE, _FILES),
        (resource.RLIMIT_NPROC, family),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    seccomp.deny_reaching_out(signals=apart or version >= landlock.SCOPES_SINCE)
    _end_with_parent()  # now, for a change of user forgets it
    os.execve(asked.command[0], asked.command, {})  # noqa: S606 - what the site's settings name


def _end_with_parent() -> None:
    kernel.prctl(kernel.PARENT_DEATH, kernel.number(signal.SIGKILL))


def _ended(first: int, control: int) -> int:
    """The hook's exit code; or it is ended, when the server wants that or has gone."""
    handle = os.pidfd_open(first)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.register(control, select.POLLIN)
    poll.poll()
    with suppress(ProcessLookupError):
        os.kill(first, signal.SIGKILL)
    return _shown(os.waitpid(first, 0)[1])


def _end_all() -> None:
    """What has left its session or group, too: orphans become children of this process."""
    while True:
        with suppress(OSError):  # a kernel without that list
            for child in Path("/proc/thread-self/children").read_text().split():
                os.kill(int(child), signal.SIGKILL)
        try:
            os.wait()
        except ChildProcessError:
            return
