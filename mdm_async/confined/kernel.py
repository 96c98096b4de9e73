"""Calls to the Linux kernel that Python has no function for."""

import ctypes
import os
from typing import Final

NO_NEW_PRIVILEGES: Final = 38
DUMPABLE: Final = 4
PARENT_DEATH: Final = 1
SECCOMP: Final = 22
SUBREAPER: Final = 36
"""prctl(2)."""

_libc = ctypes.CDLL(None, use_errno=True)


def call(number: int, *arguments: object) -> int:
    """syscall(2). Raises OSError."""
    return _checked(_libc.syscall(ctypes.c_long(number), *arguments))


def prctl(option: int, *arguments: object) -> int:
    """Raises OSError."""
    unused = [ctypes.c_ulong(0)] * (4 - len(arguments))
    return _checked(_libc.prctl(option, *arguments, *unused))


def unshare(what: int) -> None:
    """Raises OSError."""
    _checked(_libc.unshare(what))


def number(value: int) -> ctypes.c_ulong:
    return ctypes.c_ulong(value)


def _checked(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result
