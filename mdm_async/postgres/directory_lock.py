"""One server per directory: an flock that the kernel frees when its holder dies, however it dies."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from mdm_async.errors import Unavailable, UnsafeSettings

LOCK_FILE = ".mdm.lock"


class DirectoryLock:
    """Holds a directory for this process while open; `acquire` makes the directory (0700) when it is missing.

    The file holds the holder's pid, for people to read; only the flock counts. It is never deleted,
    or two processes could lock two different files of that name. A child inherits the lock only when forked
    without exec (the descriptor is close-on-exec), so use spawn or forkserver for workers.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / LOCK_FILE
        self._descriptor: int | None = None
        self._whole = -1

    def __repr__(self) -> str:
        return f"<DirectoryLock {self.directory} {'held' if self.held else 'free'}>"

    @property
    def held(self) -> bool:
        return self._descriptor is not None

    @property
    def descriptor(self) -> int:
        """For a process that is to hold it as long as it lives, too. While it is held."""
        assert self._descriptor is not None
        return self._descriptor

    def acquire(self) -> None:
        """Take the lock at once, or raise Unavailable naming the process that holds it.

        Raises UnsafeSettings when the directory cannot be written to.
        """
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise UnsafeSettings(
                f"{self.directory} cannot be used: {error.strerror}",
                remedy="choose a directory that the user who runs mdm may write to",
            ) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise self._held_by(holder) from None
        except BaseException:
            os.close(descriptor)
            raise
        self._whole = self._lock_whole(descriptor)
        with suppress(OSError):  # of a full disk: it is for people only
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def _held_by(self, holder: str) -> Unavailable:
        remedy = "stop that server, or give this one a directory of its own"
        if not Path("/proc", holder).exists():
            # One that was killed, and of which a process hangs; or it is another container's.
            remedy += (
                f"; `fuser {self.path}` as root tells which of its processes are left, where it was killed"
            )
        return Unavailable(
            f"{self.directory} is in use by another mdm server, process {holder}", remedy=remedy
        )

    def _lock_whole(self, descriptor: int) -> int:
        """The directory itself, so that nobody gets in when the file is removed; -1 where directories have no locks."""
        whole = os.open(self.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(whole, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(whole)
            os.close(descriptor)
            raise Unavailable(
                f"{self.directory} is in use by another mdm server, whose file {LOCK_FILE} was removed",
                remedy="stop that server, or give this one a directory of its own",
            ) from None
        except OSError:
            os.close(whole)
            return -1
        return whole

    def release(self) -> None:
        if self._whole >= 0:
            os.close(self._whole)
            self._whole = -1
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
