"""The id file of a blob directory: which store it is, whose, and which processes use it now."""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

from mdm_async.blobs.store import StoreId
from mdm_async.errors import Unavailable, UnsafeSettings

NAME = "store.id"
_LINE = re.compile(r"blob store ([0-9a-f-]{36}) of mdm installation ([0-9a-f-]{36})\n?\Z")
LONGEST = 200
"""Bytes of one at the most."""


def line(known: StoreId) -> str:
    """What the file says."""
    return f"blob store {known.store} of mdm installation {known.installation}"


def parsed(said: bytes) -> StoreId | None:
    """None when it is something else."""
    match = _LINE.match(said.decode("ascii", "replace"))
    try:
        return StoreId(UUID(match[1]), UUID(match[2])) if match is not None else None
    except ValueError:
        return None


def read(directory: Path) -> StoreId | None:
    """None when there is no such file. Raises UnsafeSettings when it cannot be read as one."""
    path = directory / NAME
    try:
        with path.open("rb") as file:
            found = parsed(file.read(LONGEST))
        if found is not None:
            return found
    except FileNotFoundError:
        return None
    except OSError:
        pass
    raise UnsafeSettings(f"{path} does not say whose blobs these are", remedy="restore that file")


def write(directory: Path, mine: StoreId) -> None:
    """Make the file, whole or not at all, and sync it."""
    path, new = directory / NAME, directory / f"{NAME}.new"
    try:
        with new.open("w") as file:
            new.chmod(0o600)
            file.write(line(mine) + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
        descriptor = os.open(directory, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as why:
        raise UnsafeSettings(f"{path} cannot be written: {why.strerror}") from why


class Own:
    """The id file of the store in a directory. Once it is `taken`, no other may lie in its place."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._said: StoreId | None = None
        self._file = (0, 0)
        """Its device and inode when it was read last."""

    @property
    def taken(self) -> bool:
        return self._said is not None

    def take(self) -> None:
        """It says what store this process uses from now on. Raises UnsafeSettings."""
        self._said = read(self._directory)

    def demand(self) -> None:
        """Raises Unavailable when the file is not there: then the directory's disk is not mounted; and when it is
        another store's. Costs a look at its inode."""
        try:
            found = (self._directory / NAME).stat()
        except OSError:
            raise Unavailable("the blob store is not there", remedy="mount its disk again") from None
        file = (found.st_dev, found.st_ino)
        if not self.taken or file == self._file:
            return
        try:
            said = read(self._directory)
        except UnsafeSettings:
            said = None
        if said != self._said:
            raise Unavailable(
                "another blob store lies where this server's was", remedy="mount this one's disk again"
            )
        self._file = file


@contextmanager
def held(directory: Path, *, shared: bool) -> Iterator[None]:
    """While this process uses the directory: by itself, or beside others that share it. The kernel keeps count.

    Raises UnsafeSettings when others use it and not all say that they share it.
    """
    path = directory / NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as why:
        raise UnsafeSettings(f"{path} cannot be opened: {why.strerror}") from why
    try:
        _lock(descriptor, directory, shared)
        yield
    finally:
        os.close(descriptor)


def _lock(descriptor: int, directory: Path, shared: bool) -> None:
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError as why:
        raise UnsafeSettings(
            f"another node uses the blob directory {directory}",
            remedy="stop it; or set blobs.shared = true on every node that shares the directory",
        ) from why
    except OSError as why:
        if not shared:  # a file system without locks tells nothing of other nodes
            raise UnsafeSettings(
                f"{directory} cannot be locked: {why.strerror}",
                remedy="use another file system; or set blobs.shared = true",
            ) from why
