"""What a disk has left for blobs: what uploads have promised counts, and it is looked at again at each write."""

import asyncio
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from mdm_async.errors import NoSpace


class Reserve:
    """Of one directory's disk, `least` bytes of which stay free. Its methods block; threads may share it."""

    def __init__(self, directory: Path, least: int) -> None:
        self._directory = directory
        self.least = least
        self._lock = threading.Lock()
        self._promised = 0
        self._writing = 0
        """Bytes that are being written: the disk may show them as free still."""

    def left(self) -> int:
        """Bytes that nobody has been promised; below 0 when others have filled the disk."""
        with self._lock:
            return self._left()

    def _left(self) -> int:
        disk = os.statvfs(self._directory)
        return disk.f_bavail * disk.f_frsize - self.least - self._promised - self._writing


class DiskPromise:
    """A `Promise` about a disk."""

    def __init__(self, reserve: Reserve, disk: ThreadPoolExecutor) -> None:
        self._reserve, self._disk = reserve, disk
        self._own = 0
        self._ended = False

    async def set_aside(self, size: int) -> None:
        await asyncio.get_running_loop().run_in_executor(self._disk, self._set_aside, size)

    def _set_aside(self, size: int) -> None:
        reserve = self._reserve
        with reserve._lock:
            if reserve._left() < max(size, 1):
                raise _full()
            if not self._ended:  # whoever wanted it may have been cancelled
                self._own += size
                reserve._promised += size

    @contextmanager
    def writing(self, size: int) -> Iterator[None]:
        reserve = self._reserve
        with reserve._lock:
            own = min(self._own, size)
            left = reserve._left()
            # What was promised needs the disk alone; only the rest is not taken from others.
            if left + reserve._promised < size or (own < size and left + own < size):
                raise _full()
            self._own -= own
            reserve._promised -= own
            reserve._writing += size
        try:
            yield
        finally:
            with reserve._lock:
                reserve._writing -= size

    def end(self) -> None:
        with self._reserve._lock:
            self._ended = True
            self._reserve._promised -= self._own
            self._own = 0


def _full() -> NoSpace:
    return NoSpace("the blob store has no space left for this upload", remedy="free space on its disk")
