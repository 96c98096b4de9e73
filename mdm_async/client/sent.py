"""An image on its way out: read, counted, summed and, if asked, sealed, a block at a time."""

import asyncio
import functools
import hashlib
import io
import os
import stat
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self, TypeAlias

from mdm_async.client.progress import OnBytes
from mdm_async.crypt4gh.stream import Sealer, sealed_size
from mdm_async.errors import MdmError, NotFound, WrongContent

Source: TypeAlias = str | os.PathLike[str] | bytes | BinaryIO | AsyncIterator[bytes]
"""A file of this machine by its path, an open one from where it stands, bytes, or chunks as they come."""

_BLOCK: Final = 256 * 1024


class Sent:
    """The plaintext on its way. An async context manager around its file; iterate `body` once.

    `size` (bytes), `adler32` and `sha256` (hex) are of the plaintext sent so far. `failure` is what went wrong
    with the source itself.
    """

    def __init__(self, source: Source, *, recipient: bytes | None, on_bytes: OnBytes | None = None) -> None:
        self.size = 0
        self.failure: MdmError | None = None
        self.expected = size_of(source)
        self._source, self._on_bytes = source, on_bytes
        self._sealer = None if recipient is None else Sealer(recipient)
        self._file: BinaryIO | io.FileIO | None = None
        self._adler = zlib.adler32(b"")
        self._sha256 = hashlib.sha256()

    @property
    def sealed(self) -> bool:
        return self._sealer is not None

    @property
    def adler32(self) -> str:
        return f"{self._adler:08x}"

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    @property
    def content_length(self) -> int | None:
        """Bytes of the body, None when the source does not tell its size."""
        if self.expected is None or self._sealer is None:
            return self.expected
        return sealed_size(self.expected)

    async def __aenter__(self) -> Self:
        if isinstance(self._source, str | os.PathLike):
            self._file = await asyncio.to_thread(_open, Path(self._source))
        elif not isinstance(self._source, bytes | AsyncIterator):
            self._file = self._source
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Not by the end of `body`: a server that has all the bytes may answer before that is asked for, and
        # a transfer that failed leaves it where it was. What the caller opened, the caller closes.
        if self._file is not None and self._file is not self._source:
            self._file.close()

    async def body(self) -> AsyncIterator[bytes | bytearray]:
        """What goes over the wire."""
        try:
            if self._sealer is None:
                async for chunk in self._plain():
                    yield chunk
                return
            yield self._sealer.header()
            async for chunk in self._plain():
                for segments in self._sealer.feed(chunk):
                    yield segments
            for segments in self._sealer.close():
                yield segments
        except MdmError as why:
            self.failure = why
            raise
        except OSError as why:
            self.failure = MdmError(f"the file cannot be read: {why.strerror}")
            raise

    async def _plain(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks():
            self._take(chunk)
            yield chunk
        if self.expected is not None and self.size < self.expected:
            raise WrongContent("the file shrank while it was sent", remedy="send it again")

    async def _chunks(self) -> AsyncIterator[bytes]:
        if self._file is not None:
            while chunk := await asyncio.to_thread(self._file.read, _BLOCK):
                yield chunk
        elif isinstance(self._source, bytes):
            for start in range(0, len(self._source), _BLOCK):
                yield self._source[start : start + _BLOCK]
        elif isinstance(self._source, AsyncIterator):
            async for chunk in self._source:
                yield chunk

    def _take(self, chunk: bytes) -> None:
        self.size += len(chunk)
        if self.expected is not None and self.size > self.expected:
            raise WrongContent("the file grew while it was sent", remedy="send it again")
        self._adler = zlib.adler32(chunk, self._adler)
        if self._sealer is not None:
            self._sha256.update(chunk)
        if self._on_bytes is not None:
            self._on_bytes(len(chunk))


def size_of(source: Source) -> int | None:
    """Bytes, None for a stream that does not tell. NotFound when the file is not there to be read."""
    if isinstance(source, bytes):
        return len(source)
    if isinstance(source, str | os.PathLike):
        try:
            facts = Path(source).stat()
        except OSError as why:
            raise NotFound(f"the file to send cannot be read: {why.strerror}") from None
        return facts.st_size if stat.S_ISREG(facts.st_mode) else None
    if isinstance(source, AsyncIterator) or not _is_seekable(source):
        return None
    here = source.tell()
    end = source.seek(0, os.SEEK_END)
    source.seek(here)
    return end - here


def rewinder(source: Source) -> Callable[[], object]:
    """Brings an open file back to where it stands now; other sources that can be read again begin anew."""
    if isinstance(source, str | os.PathLike | bytes | AsyncIterator) or not _is_seekable(source):
        return lambda: None
    return functools.partial(source.seek, source.tell())


def _is_seekable(file: BinaryIO) -> bool:
    try:
        return file.seekable()
    except AttributeError:
        raise TypeError(
            "what is sent is a path, bytes, an open binary file, or an iterator of bytes"
        ) from None


def _open(path: Path) -> io.FileIO:
    try:
        file = io.FileIO(path)
    except OSError as why:
        raise NotFound(f"the file to send cannot be read: {why.strerror}") from None
    with suppress(OSError):  # A pipe takes no advice.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
    return file
