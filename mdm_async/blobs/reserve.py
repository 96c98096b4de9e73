"""What a disk has left for blobs: what uploads have promised counts, and it is looked at again at each write.

What others have promised counts for half of the room at the most: so there is always some left for whoever comes next,
and who promises much and brings nothing shuts nobody out.
"""

import asyncio
import os
import threading
from collections import Counter
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
        self._promised: Counter[str] = Counter()
        """Bytes, by who answers for them."""
        self._writing = 0
        """Bytes that are being written: the disk may show them as free still."""

    def left(self, payer: str | None = None) -> int:
        """Bytes that this payer may be promised (None: that nobody has been); below 0 when the disk lacks some."""
        with self._lock:
            room = self._room()
            return room - self._promised.total() if payer is None else self._left(room, payer)

    def _room(self) -> int:
        disk = os.statvfs(self._directory)
        return disk.f_bavail * disk.f_frsize - self.least - self._writing

    def _left(self, room: int, payer: str) -> int:
        own = self._promised[payer]
        others = self._promised.total() - own
        return room - own - min(others, max(room, 0) // 2)

    def _give_back(self, payer: str, size: int) -> None:
        self._promised[payer] -= size
        if not self._promised[payer]:
            del self._promised[payer]


class DiskPromise:
    """A `Promise` about a disk."""

    def __init__(self, reserve: Reserve, disk: ThreadPoolExecutor, payer: str) -> None:
        self._reserve, self._disk, self._payer = reserve, disk, payer
        self._own = 0
        self._ended = False

    async def set_aside(self, size: int) -> None:
        await asyncio.get_running_loop().run_in_executor(self._disk, self._set_aside, size)

    def _set_aside(self, size: int) -> None:
        reserve = self._reserve
        with reserve._lock:
            if reserve._left(reserve._room(), self._payer) < max(size, 1):
                raise _full()
            if not self._ended:  # whoever wanted it may have been cancelled
                self._own += size
                reserve._promised[self._payer] += size

    @contextmanager
    def writing(self, size: int) -> Iterator[None]:
        reserve = self._reserve
        with reserve._lock:
            own = min(self._own, size)
            room = reserve._room()
            # What was promised needs the disk alone; only the rest is not taken from others.
            if room < size or (own < size and reserve._left(room, self._payer) + own < size):
                raise _full()
            self._own -= own
            reserve._give_back(self._payer, own)
            reserve._writing += size
        try:
            yield
        finally:
            with reserve._lock:
                reserve._writing -= size

    def end(self) -> None:
        with self._reserve._lock:
            self._ended = True
            self._reserve._give_back(self._payer, self._own)
            self._own = 0


def _full() -> NoSpace:
    return NoSpace("the blob store has no space left for this upload", remedy="free space on its disk")
