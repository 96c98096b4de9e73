"""Open files of the file system: read from any place, or written as a whole."""

import io
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from fsspec.asyn import AbstractAsyncStreamedFile, sync
from fsspec.caching import BaseCache, register_cache
from fsspec.spec import AbstractBufferedFile

from mdm_async.client.tickets import Kept, Tickets

if TYPE_CHECKING:
    from mdm_async.client.filesystem import MdmFileSystem

LEAST, MOST = 16 << 10, 4 << 20
"""Bytes that are asked for at once: more as long as what is read follows on what was read before."""
GROWING: Final = "growing"


class GrowingCache(BaseCache):
    """Reads ahead as much again as was read in a row: a head costs a small request, a whole file few large ones."""

    name = GROWING

    def __init__(self, blocksize: int, fetcher: Any, size: int, most: int = MOST) -> None:
        super().__init__(blocksize, fetcher, size)
        self._start, self._had = 0, b""
        self._ahead, self._most = blocksize, max(blocksize, most)

    def _fetch(self, start: int | None, stop: int | None) -> bytes:
        begin, end = start or 0, self.size if stop is None else min(stop, self.size)
        if begin >= end:
            return b""
        had_to = self._start + len(self._had)
        if not self._start <= begin <= had_to:
            self._start, self._had, had_to, self._ahead = begin, b"", begin, self.blocksize
        if end > had_to:
            kept = self._had[begin - self._start :]
            fetched = self.fetcher(had_to, min(self.size, max(end, had_to + self._ahead)))
            self._ahead = min(2 * self._ahead, self._most)
            self._start, self._had = begin, kept + fetched
        return self._had[begin - self._start : end - self._start]


register_cache(GrowingCache, clobber=True)


class MdmFile(AbstractBufferedFile):
    """For reading. It stays prepared while it is open."""

    DEFAULT_BLOCK_SIZE = LEAST

    def __init__(
        self,
        fs: "MdmFileSystem",
        path: str,
        block_size: Any = None,
        cache_type: str | None = None,
        **options: Any,
    ) -> None:
        self._tickets, self._kept = sync(fs.loop, _begun, fs, path)
        size = self._kept.ticket.plain_size
        kind = (
            GROWING if cache_type in (None, "readahead") and block_size in (None, "default") else cache_type
        )
        options |= {"mode": "rb", "block_size": block_size, "cache_type": kind or "readahead", "size": size}
        super().__init__(fs, path, **options)

    def _fetch_range(self, start: int, end: int) -> bytes:
        found: bytes = sync(self.fs.loop, self._tickets.pull(self.path, self._kept).read, start, end)
        return found

    def close(self) -> None:
        """Others who read it may go on."""
        if not self.closed:
            self.fs.loop.call_soon_threadsafe(self._tickets.end, self.path, self._kept)
        super().close()


async def _begun(fs: "MdmFileSystem", path: str) -> tuple[Tickets, Kept]:
    tickets = await fs._tickets()
    return tickets, await tickets.begin(path)


class MdmAsyncFile(AbstractAsyncStreamedFile):
    """For reading, without read-ahead."""

    def __init__(self, fs: "MdmFileSystem", path: str, tickets: Tickets, kept: Kept) -> None:
        self._tickets, self._kept = tickets, kept
        super().__init__(fs, path, "rb", cache_type="none", size=kept.ticket.plain_size)

    async def _fetch_range(self, start: int, end: int) -> bytes:
        return await self._tickets.pull(self.path, self._kept).read(start, min(end, self.size))

    async def close(self) -> None:
        if not self.closed:
            self._tickets.end(self.path, self._kept)
        await super().close()


class MdmNewFile(io.BytesIO):
    """For writing: kept in memory, and stored when it is closed; not where its `with` is left by an exception."""

    def __init__(self, fs: "MdmFileSystem", path: str, mode: str) -> None:
        super().__init__()
        self.fs, self.path, self._mode = fs, path, mode

    def close(self) -> None:
        if not self.closed:
            try:
                self.fs.pipe_file(self.path, self.getvalue(), mode=self._mode)
            finally:
                super().close()

    def discard(self) -> None:
        super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.discard()
        self.close()

    def __del__(self) -> None:
        self.discard()
