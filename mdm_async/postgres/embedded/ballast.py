"""A file that keeps room on Postgres's disk for the day on which it is full: given up, it lets Postgres start and the
server delete."""

import errno
import os
from pathlib import Path
from typing import Final

import structlog

_LEAST: Final = 32 << 20
"""Bytes of free disk below which the ballast is given up: Postgres ends when it cannot add 16 MiB to its journal."""

_log = structlog.get_logger(__name__)


class Ballast:
    """`size` bytes (0: none) in a file; made only where `reserve` bytes stay free beside it. Its methods block."""

    def __init__(self, path: Path, size: int, reserve: int) -> None:
        self.path = path
        self._size = size
        self._reserve = max(reserve, 2 * _LEAST)

    def __repr__(self) -> str:
        return f"<Ballast {self.path} {'held' if self.held else 'not held'}>"

    @property
    def held(self) -> bool:
        try:
            return self.path.stat().st_size == self._size > 0
        except FileNotFoundError:
            return False

    def trim(self) -> None:
        """Give it up when the disk is full; make it when there is room for it again."""
        free = self._free()
        if free < _LEAST or (self._size == 0 and self.path.exists()):
            self.give_up()
        elif self._size and not self.held and free - self._size >= self._reserve:
            self._make()

    def give_up(self) -> None:
        """Deleting it frees its blocks at once."""
        try:
            size = self.path.stat().st_size
            self.path.unlink()
        except FileNotFoundError:
            return
        if size:
            _log.warning("gave up the ballast, so that Postgres has room", bytes=size, file=str(self.path))

    def _free(self) -> int:
        disk = os.statvfs(self.path.parent)
        return disk.f_bavail * disk.f_frsize

    def _make(self) -> None:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(descriptor, 0, self._size)
        except OSError as why:
            self.path.unlink()
            if why.errno not in (errno.ENOSPC, errno.EDQUOT):
                _log.warning("no ballast could be made", reason=why.strerror, file=str(self.path))
        finally:
            os.close(descriptor)
