"""The blob store in a local directory: DIR/<two hex digits>/<32 hex digits>, files 0600.

A blob is written under its final name; the catalog's row says whether it counts. File and directory are synced
before that row can say so.
"""

import asyncio
import errno
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar
from uuid import UUID

from mdm_async.errors import NoSpace, Unavailable

T = TypeVar("T")
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LocalBlobs:
    """Blobs in one directory of this machine. `reserve_free`: bytes of free disk that uploads must leave."""

    def __init__(self, directory: Path, disk: ThreadPoolExecutor, reserve_free: int) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._disk = disk
        self._reserve = reserve_free

    async def create(self, blob: UUID) -> "_LocalWriter":
        path = self._path(blob)
        return _LocalWriter(self._disk, path, await self._run(_create, path))

    def open(self, blob: UUID) -> "_LocalReader":
        return _LocalReader(self._disk, self._path(blob))

    async def delete(self, blob: UUID) -> None:
        await self._run(lambda: self._path(blob).unlink(missing_ok=True))

    async def listing(self) -> AsyncIterator[tuple[UUID, int]]:
        for shard in await self._run(lambda: sorted(p for p in self._directory.iterdir() if p.is_dir())):
            for name, size in await self._run(_files, shard):
                yield UUID(hex=name), size

    async def free(self) -> int:
        usage = await self._run(shutil.disk_usage, self._directory)
        return max(0, usage.free - self._reserve)

    def _path(self, blob: UUID) -> Path:
        return self._directory / blob.hex[:2] / blob.hex

    async def _run(self, job: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, job, *arguments)


class _LocalWriter:
    """Jobs of a cancelled upload may still run in the pool: each holds the lock while it uses the descriptor."""

    def __init__(self, disk: ThreadPoolExecutor, path: Path, descriptor: int) -> None:
        self._disk, self._path = disk, path
        self._descriptor = descriptor
        self._lock = threading.Lock()

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        await self._run(lambda: _write_all(self._descriptor, data))

    async def commit(self) -> None:
        def job() -> None:
            _sync(self._descriptor, self._path.parent)
            self._close()

        await self._run(job)

    async def abandon(self) -> None:
        def job() -> None:
            self._close()
            self._path.unlink(missing_ok=True)

        await self._run(job)

    def _close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    async def _run(self, job: Callable[[], None]) -> None:
        def locked() -> None:
            with self._lock:
                job()

        await asyncio.get_running_loop().run_in_executor(self._disk, locked)


class _LocalReader:
    """Opened by the first job that needs it, so that a small answer costs one hop to the pool."""

    def __init__(self, disk: ThreadPoolExecutor, path: Path) -> None:
        self._disk, self._path = disk, path
        self._descriptor = -1
        self._closed = False
        self._lock = threading.Lock()

    async def apply(self, offset: int, size: int, job: Callable[[bytearray], T]) -> T:
        def read() -> T:
            with self._lock:
                try:
                    buffer = self._read(offset, size)
                finally:
                    if self._closed:
                        self._shut()
            return job(buffer)

        return await asyncio.get_running_loop().run_in_executor(self._disk, read)

    async def descriptor(self) -> int:
        def job() -> int:
            with self._lock:
                return self._open()

        return await asyncio.get_running_loop().run_in_executor(self._disk, job)

    def close(self) -> None:
        # A job of a cancelled transfer may still be reading: then it closes, so that no other file is read.
        self._closed = True
        if self._lock.acquire(blocking=False):
            self._shut()
            self._lock.release()

    def _shut(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> int:
        if self._closed:
            raise Unavailable("the transfer has ended")
        if self._descriptor < 0:
            try:
                self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError as why:
                raise Unavailable(f"a blob cannot be opened: {why.strerror}", remedy="run mdm fsck") from why
        return self._descriptor

    def _read(self, offset: int, size: int) -> bytearray:
        buffer = bytearray(size)
        view = memoryview(buffer)
        descriptor = self._open()
        while view:
            try:
                count = os.preadv(descriptor, [view], offset)
            except OSError as why:
                raise Unavailable(f"a blob cannot be read: {why.strerror}", remedy="run mdm fsck") from why
            if count == 0:
                raise Unavailable("a blob is shorter than the catalog says", remedy="run mdm fsck")
            view, offset = view[count:], offset + count
        return buffer


def _create(path: Path) -> int:
    try:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, exist_ok=True)
            _sync_directory(path.parent.parent)
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as why:
        raise _failure(why) from why


def _write_all(descriptor: int, data: bytes | bytearray | memoryview) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(descriptor, view) :]
    except OSError as why:
        raise _failure(why) from why


def _sync(descriptor: int, directory: Path) -> None:
    try:
        os.fsync(descriptor)
        _sync_directory(directory)
    except OSError as why:
        raise _failure(why) from why


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _files(directory: Path) -> list[tuple[str, int]]:
    return [(entry.name, entry.stat().st_size) for entry in os.scandir(directory) if entry.is_file()]


def _failure(why: OSError) -> NoSpace | Unavailable:
    if why.errno in _FULL:
        return NoSpace("the blob store is full", remedy="free space on its disk and upload again")
    return Unavailable(f"the blob store cannot be written: {why.strerror}")
