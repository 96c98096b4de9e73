"""Files whose bytes are in memory already: opened and read without waiting for a disk, or not at all (Linux).

What waits for no disk may be done on the event loop, where it costs less than a hop to a thread and back.
"""

import ctypes
import os
from pathlib import Path

from mdm_async.blobs.store import FileRange

_OPENAT2, _AT_FDCWD, _RESOLVE_CACHED = 437, -100, 0x20
_PROBED = 256 << 10
_probe = bytearray(1)
_libc = ctypes.CDLL(None, use_errno=True)


class _How(ctypes.Structure):
    """`struct open_how` of openat2(2)."""

    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_how = _How(os.O_RDONLY | os.O_CLOEXEC, 0, _RESOLVE_CACHED)


def open_cached(path: Path) -> int:
    """A descriptor to read from. OSError when the kernel does not know the file without looking at the disk."""
    descriptor: int = _libc.syscall(
        _OPENAT2, _AT_FDCWD, os.fsencode(path), ctypes.byref(_how), ctypes.c_size_t(ctypes.sizeof(_How))
    )
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), "openat2")
    return descriptor


def in_memory(descriptor: int, offset: int, size: int) -> bool:
    """Whether these bytes can be sent without waiting for a disk, as far as some of them tell."""
    try:
        for place in (*range(offset, offset + size, _PROBED), offset + size - 1):
            os.preadv(descriptor, [_probe], place, os.RWF_NOWAIT)
    except OSError:
        return False
    return True


def read_cached(descriptor: int, into: memoryview, offset: int) -> bool:
    """Fill `into`; False, or OSError, when some of it would have to come from the disk."""
    return os.preadv(descriptor, [into], offset, os.RWF_NOWAIT) == len(into)


class CachedFile:
    """An open file of which no more is read than is in memory."""

    __slots__ = ("_descriptor",)

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, offset: int, into: memoryview) -> bool:
        try:
            return read_cached(self._descriptor, into, offset)
        except OSError:
            return False

    def file_range(self, offset: int, size: int) -> FileRange | None:
        return (
            FileRange(self._descriptor, offset, size) if in_memory(self._descriptor, offset, size) else None
        )

    def close(self) -> None:
        os.close(self._descriptor)
