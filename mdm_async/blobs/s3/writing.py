"""A blob written to S3: in one request when it is small, else in parts, of which nobody sees anything before all are
there."""

from contextlib import suppress
from typing import Final

import obstore
from obstore.store import S3Store

from mdm_async.blobs.s3.failures import AWAY, RETRY_AFTER, told
from mdm_async.blobs.s3.requests import Requests
from mdm_async.errors import Unavailable
from mdm_async.held import may_wait

PART: Final = 8 << 20
"""Bytes of a part: an object has 10,000 at the most, and settings let no upload have more."""
_AT_ONCE: Final = 2
"""Parts on their way beside the one that is filled."""
ON_ITS_WAY: Final = (1 + _AT_ONCE) * PART
"""Bytes of a blob in memory."""


class S3Writer:
    """The name is random and written by nobody else. So a request whose answer was lost may be repeated, and it is no
    harm when both arrive."""

    def __init__(self, store: S3Store, key: str, requests: Requests) -> None:
        self._store, self._key, self._requests = store, key, requests
        self._file: obstore.AsyncWritableFile | None = None
        self._size = 0
        self._ended = False

    async def write(self, data: bytes | bytearray | memoryview) -> None:
        may_wait("the blob store")
        with told():
            await self._opened().write(data)
        self._size += len(data)

    async def commit(self, last: bytes | bytearray | memoryview = b"") -> None:
        if last:
            await self.write(last)
        may_wait("the blob store")
        try:
            with told():
                await self._opened().close()
        except FileNotFoundError:
            # The upload in parts has ended: by a request before this one, of which the answer was lost, or not at all.
            await self._demand_whole()
        self._let_go()
        if self._size >= PART:
            # Begun twice, when an answer was lost; what is left of that goes with the blob at the latest.
            with suppress(Unavailable):
                await self._requests.end_uploads(self._key)

    async def abandon(self) -> None:
        began = self._file is not None or self._ended
        self._let_go()
        if began:
            may_wait("the blob store")
            await self._requests.remove(self._key)

    async def detach(self) -> None:
        self._let_go()

    def _opened(self) -> "obstore.AsyncWritableFile":
        if self._ended:
            raise Unavailable("the upload has ended")
        if self._file is None:
            self._file = obstore.open_writer_async(
                self._store, self._key, buffer_size=PART, max_concurrency=_AT_ONCE
            )
        return self._file

    def _let_go(self) -> None:
        """What is still on its way is broken off."""
        self._ended, self._file = True, None

    async def _demand_whole(self) -> None:
        try:
            with told():
                found = await obstore.head_async(self._store, self._key)
        except FileNotFoundError:
            found = None
        if found is None or found["size"] != self._size:
            raise Unavailable(AWAY, remedy="upload again", retry_after=RETRY_AFTER)
