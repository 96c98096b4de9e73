"""A view as an open file: read from any place, without being pulled as a whole."""

import os
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from mdm_async.client.pull import Pull


class RemoteFile:
    """An async context manager, already open. `pull` gives its bytes also as a stream.

    Whoever reads all of it at once has its checksum verified; ranges of a sealed view are verified in any case.
    """

    def __init__(self, pull: Pull, release: Callable[[], Awaitable[None]]) -> None:
        self.pull = pull
        self._release = release
        self._position = 0

    def __repr__(self) -> str:
        return f"<RemoteFile of {self.size} bytes at {self._position}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    @property
    def size(self) -> int:
        """Bytes of the view."""
        return self.pull.size

    async def read(self, size: int = -1) -> bytes:
        """The next `size` bytes, fewer at the end; all that are left when it is negative."""
        stop = self.size if size < 0 else min(self._position + size, self.size)
        content = await self.pull.read(self._position, stop) if self._position < stop else b""
        self._position += len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go there; as of any file, there may be nothing."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self.size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the beginning")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    async def aclose(self) -> None:
        """Release it. May be repeated."""
        await self._release()
