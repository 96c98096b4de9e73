"""Landlock (kernel.org: userspace-api/landlock): what a process may read, and that it may do nothing else to files.

From ABI 4 on it also may not bind or connect TCP; from ABI 6 on it reaches neither abstract Unix sockets nor, by
signals, processes outside.
"""

import ctypes
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from mdm_async.confined import kernel

_CREATE, _ADD, _RESTRICT = 444, 445, 446
"""Numbers of the calls, on every architecture."""
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _TRUNCATE = (1 << bit for bit in (0, 1, 2, 3, 14))
_FILE_RIGHTS: Final = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_FILE_SYSTEM: Final = ((1, (1 << 13) - 1), (2, 1 << 13), (3, 1 << 14), (5, 1 << 15))
"""Rights to files, by the ABI that has them first."""
_NETWORK: Final = (1 << 0) | (1 << 1)
_SCOPES: Final = (1 << 0) | (1 << 1)
_NETWORK_SINCE = 4
SCOPES_SINCE: Final = 6
"""The ABI."""


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def abi() -> int:
    """The kernel's; 0 without Landlock."""
    try:
        return kernel.call(_CREATE, None, kernel.number(0), _VERSION)
    except OSError:
        return 0


def restrict(
    readable: Iterable[Path], *, executable: Iterable[Path] = (), writable: Iterable[Path] = ()
) -> int:
    """From now on this thread, and what it starts, reads what is below these paths only, and changes nothing but below
    `writable`. What is not there is passed over. The ABI, 0 when nothing was done. It demands no-new-privileges.
    """
    version = abi()
    if not version:
        return 0
    all_rights = sum(rights for since, rights in _FILE_SYSTEM if version >= since)
    attributes = _Ruleset(
        all_rights,
        _NETWORK if version >= _NETWORK_SINCE else 0,
        _SCOPES if version >= SCOPES_SINCE else 0,
    )
    # A kernel refuses a structure that is longer than it knows.
    size = 24 if version >= SCOPES_SINCE else 16 if version >= _NETWORK_SINCE else 8
    ruleset = kernel.call(_CREATE, ctypes.byref(attributes), kernel.number(size), 0)
    try:
        read = _READ_FILE | _READ_DIR
        for paths, rights in (
            (readable, read),
            (executable, read | _EXECUTE),
            (writable, all_rights & ~_EXECUTE),
        ):
            for path in paths:
                with suppress(FileNotFoundError, NotADirectoryError):
                    _allow(ruleset, path, rights)
        kernel.call(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _allow(ruleset: int, path: Path, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not path.is_dir():
            rights &= _FILE_RIGHTS
        rule = _Beneath(rights, descriptor)
        kernel.call(_ADD, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(descriptor)
