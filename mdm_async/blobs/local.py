"""The blob store in a local directory: DIR/<two hex digits>/<32 hex digits>, files 0600.

A blob is written under its final name; the catalog's row says whether it counts. File and directory are synced
before that row can say so.
"""

import asyncio
import errno
import os
import re
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, aclosing, suppress
from functools import partial
from pathlib import Path
from typing import Final, TypeVar
from uuid import UUID

from mdm_async.blobs import id_file
from mdm_async.blobs.ahead import one_ahead
from mdm_async.blobs.cached import CachedFile, in_memory, open_cached, read_cached
from mdm_async.blobs.id_file import Own
from mdm_async.blobs.reserve import DiskPromise, Reserve
from mdm_async.blobs.store import STEP, FileRange, Piece, Promise, StoreId
from mdm_async.errors import Damaged, Lost, NoSpace, Unavailable
from mdm_async.held import may_wait

T = TypeVar("T")
U = TypeVar("U")
_SHARD, _BLOB = re.compile(r"[0-9a-f]{2}\Z"), re.compile(r"[0-9a-f]{32}\Z")
_SMALL = 600_000
"""Bytes up to which a read is done on the event loop when no disk is waited for: a slice of a CT, decrypted in
a fifth of a millisecond."""
_threads_own = threading.local()
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class LocalBlobs:
    """Blobs in one directory of this machine. `reserve_free`: bytes of free disk that uploads must leave."""

    files: Final = True
    on_its_way: Final = 0

    def __init__(self, directory: Path, disk: ThreadPoolExecutor, reserve_free: int) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._directory = directory
        self._disk = disk
        self._own = id_file.Own(directory)
        self.reserve = Reserve(directory, reserve_free)

    def __str__(self) -> str:
        return str(self._directory)

    def promise(self, payer: str) -> DiskPromise:
        return DiskPromise(self.reserve, self._disk, payer)

    def create(self, blob: UUID, promise: Promise) -> "_LocalWriter":
        return _LocalWriter(self._disk, self._own, self._path(blob), promise)

    async def open(self, blob: UUID, size: int) -> "_LocalReader":
        reader = _LocalReader(self._disk, self._own, self._path(blob), size)
        try:
            await reader.open()
        except BaseException:
            reader.close()
            raise
        return reader

    def at_hand(self, blob: UUID, size: int) -> CachedFile | None:
        try:
            descriptor = open_cached(self._path(blob))
        except OSError:
            return None
        if os.fstat(descriptor).st_size != size:
            os.close(descriptor)
            return None
        return CachedFile(descriptor)

    async def delete(self, blob: UUID) -> None:
        await self._run(_delete, self._own, self._path(blob))

    async def listing(self) -> AsyncIterator[tuple[UUID, int]]:
        for shard in await self._run(_shards, self._directory):
            for blob, size in await self._run(_files, shard):
                yield blob, size

    async def size(self, blob: UUID) -> int | None:
        return await self._run(_size, self._own, self._path(blob))

    async def identity(self) -> StoreId | None:
        return await self._run(id_file.read, self._directory)

    async def mark(self, mine: StoreId) -> None:
        await self._run(id_file.write, self._directory, mine)

    def held(self, *, shared: bool) -> AbstractContextManager[None]:
        """While this process uses it; `shared`: others may too. Raises UnsafeSettings."""
        self._own.take()
        return id_file.held(self._directory, shared=shared)

    async def free(self, payer: str | None = None) -> int:
        return max(0, await self._run(self.reserve.left, payer))

    def _path(self, blob: UUID) -> Path:
        return self._directory / blob.hex[:2] / blob.hex

    async def _run(self, job: Callable[..., T], *arguments: object) -> T:
        may_wait("the disk")
        return await asyncio.get_running_loop().run_in_executor(self._disk, job, *arguments)


class _LocalWriter:
    """Makes its file with the first write, so that whoever is cancelled meanwhile still has a writer to abandon.

    Jobs of a cancelled upload may still run in the pool: each holds the lock, and none makes a file once this ended.
    """

    def __init__(self, disk: ThreadPoolExecutor, own: Own, path: Path, promise: Promise) -> None:
        self._disk, self._own, self._path, self._promise = disk, own, path, promise
        self._descriptor = -1
        self._ended = False
        self._lock = threading.Lock()

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        await self._run(partial(self._write, data))

    async def commit(self, last: bytes | bytearray | memoryview = b"") -> None:
        def job() -> None:
            if last:
                self._write(last)
            _sync(self._open(), self._path.parent)
            self._close()

        await self._run(job)

    async def abandon(self) -> None:
        def job() -> None:
            self._close()
            _delete(self._own, self._path)

        await self._run(job)

    async def detach(self) -> None:
        await self._run(self._close)

    def _write(self, data: bytes | bytearray | memoryview) -> None:
        with self._promise.writing(len(data)):
            _write_all(self._open(), data)

    def _open(self) -> int:
        if self._ended:
            raise Unavailable("the upload has ended")
        if self._descriptor < 0:
            self._descriptor = _create(self._own, self._path)
        return self._descriptor

    def _close(self) -> None:
        self._ended = True
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    async def _run(self, job: Callable[[], None]) -> None:
        def locked() -> None:
            with self._lock:
                job()

        may_wait("the disk")
        await asyncio.get_running_loop().run_in_executor(self._disk, locked)


class _LocalReader:
    def __init__(self, disk: ThreadPoolExecutor, own: Own, path: Path, size: int) -> None:
        self._disk, self._own, self._path, self._size = disk, own, path, size
        self._descriptor = -1
        self._closed = False
        self._lock = threading.Lock()

    async def apply(self, offset: int, size: int, job: Callable[[memoryview], T]) -> T:
        if size <= _SMALL and (found := self._at_hand(offset, size)) is not None:
            return job(found)
        return await self._run(lambda: self._read(offset, size), job)

    async def open(self) -> None:
        try:
            self._descriptor = open_cached(self._path)
        except OSError:  # its directory or it itself must be looked for on the disk
            await self._run(self._open_file, lambda _: None)
        self._demand_size()

    async def pieces(self, offset: int, size: int, *, files: bool) -> AsyncGenerator[Piece, None]:
        read = self._file_range if files else self._chunk
        steps = ((place, min(STEP, offset + size - place)) for place in range(offset, offset + size, STEP))
        async with aclosing(one_ahead(partial(read, *step) for step in steps)) as pieces:
            async for piece in pieces:
                yield piece

    async def _chunk(self, offset: int, size: int) -> Piece:
        return await self.apply(offset, size, bytes)

    async def _file_range(self, offset: int, size: int) -> Piece:
        """A range whose pages are in memory: to wait for others would hold the event loop for milliseconds."""
        if not in_memory(self._descriptor, offset, size):
            await self._run(lambda: self._read(offset, size), len)
        return FileRange(self._descriptor, offset, size)

    async def _run(self, use: Callable[[], U], job: Callable[[U], T]) -> T:
        def locked() -> T:
            try:
                with self._lock:
                    found = use()
            finally:
                # After the lock: whoever closes between a look inside it and its release would not get it.
                if self._closed:
                    self.close()
            return job(found)

        may_wait("the disk")
        return await asyncio.get_running_loop().run_in_executor(self._disk, locked)

    def _at_hand(self, offset: int, size: int) -> memoryview | None:
        """The bytes when they are in memory: a hop to the pool would cost more than they do."""
        if self._closed or not self._lock.acquire(blocking=False):
            return None
        try:
            view = _scratch(size)
            return view if read_cached(self._descriptor, view, offset) else None
        except OSError:
            return None
        finally:
            self._lock.release()

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

    def _open_file(self) -> None:
        if self._closed:
            raise Unavailable("the transfer has ended")
        try:
            self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError as why:
            self._own.demand()
            raise Lost("a blob is missing") from why
        except OSError as why:
            raise Unavailable(f"a blob cannot be opened: {why.strerror}", remedy="run mdm fsck") from why

    def _demand_size(self) -> None:
        if (found := os.fstat(self._descriptor).st_size) != self._size:
            if found < self._size:
                raise Lost("a blob is shorter than the catalog says")
            raise Damaged("a blob is longer than the catalog says")

    def _read(self, offset: int, size: int) -> memoryview:
        if self._closed:
            raise Unavailable("the transfer has ended")
        view = whole = _scratch(size)
        while view:
            try:
                count = os.preadv(self._descriptor, [view], offset)
            except OSError as why:
                raise Unavailable(f"a blob cannot be read: {why.strerror}", remedy="run mdm fsck") from why
            if count == 0:
                raise Lost("a blob is shorter than the catalog says")
            view, offset = view[count:], offset + count
        return whole


def _scratch(size: int) -> memoryview:
    """This thread's own buffer: fresh memory for every read costs more, in page faults, than the read."""
    buffer: bytearray = getattr(_threads_own, "buffer", bytearray())
    if len(buffer) < size:
        buffer = _threads_own.buffer = bytearray(size)
    return memoryview(buffer)[:size]


def _create(own: Own, path: Path) -> int:
    try:
        is_new = not path.parent.exists()
        if is_new or own.taken:
            own.demand()
        if is_new:
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


def _delete(own: Own, path: Path) -> None:
    try:
        path.unlink()
    except FileNotFoundError:
        own.demand()
    except OSError as why:
        raise Unavailable(f"a blob cannot be deleted: {why.strerror}") from why


def _shards(directory: Path) -> list[Path]:
    return sorted(path for path in directory.iterdir() if _SHARD.match(path.name) and path.is_dir())


def _files(shard: Path) -> list[tuple[UUID, int]]:
    found = []
    with os.scandir(shard) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # deleted since
                if _BLOB.match(entry.name) and entry.is_file():
                    found.append((UUID(hex=entry.name), entry.stat().st_size))
    return sorted(found)


def _size(own: Own, path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        if own.taken:
            own.demand()
        return None


def _failure(why: OSError) -> NoSpace | Unavailable:
    if why.errno in _FULL:
        return NoSpace("the blob store is full", remedy="free space on its disk and upload again")
    return Unavailable(f"the blob store cannot be written: {why.strerror}")
