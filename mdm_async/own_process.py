"""What others on this machine can see of a server's process: no environment, no memory, no core dump."""

import ctypes
import os
import resource
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_SET_DUMPABLE: Final = 4
"""prctl(2)."""
_ENV_START, _ENV_END = 47, 48
"""proc_pid_stat(5), counted after the program's name and from 0."""


def close_to_others(secrets: Iterable[str]) -> None:
    """Overwrite the environment as /proc shows it, forget the variables that hold `secrets`, and let nobody but root
    look into this process or dump it. Linux; to be called early, while there is one thread.

    Python, and the C library, go on with copies of the variables. Deleting one from `os.environ` alone would leave it
    where it was when the process began, and there /proc/PID/environ reads.
    """
    for name, value in list(os.environ.items()):
        os.environ[name] = value  # setenv(3) copies it to the heap
    for name in secrets:
        os.environ.pop(name, None)
    # Now, for afterwards /proc/self is root's.
    after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    start, end = int(after_name[_ENV_START]), int(after_name[_ENV_END])
    ctypes.memset(start, 0, end - start)
    not_dumpable()


def not_dumpable() -> None:
    """Others than root cannot trace this process nor read its /proc; neither it nor its children dump core."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    ctypes.CDLL(None).prctl(_SET_DUMPABLE, 0, 0, 0, 0)
