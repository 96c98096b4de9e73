"""The parts of a request's body (RFC 2046 §5.1), one after the other as they come, in constant memory."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Final

from mdm_async.errors import BadRequest, MdmError, TooLarge
from mdm_async.pacs.dicomweb.multipart import MultipartReader
from mdm_async.pacs.parts import Event, PartBegins, PartData, PartEnds

_MOST_PASSED: Final = 1 << 30
"""Bytes of parts that were refused before they had come, in one body."""


class ComingParts:
    """Each to its end. `failed`: why none can be told from the others any more."""

    def __init__(self, boundary: str, chunks: AsyncIterator[bytes]) -> None:
        self.failed: MdmError | None = None
        self._passed = 0
        self._reader = MultipartReader(boundary.encode("latin-1"), "the request's body", BadRequest)
        self._events = self._all(chunks)

    async def _all(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[Event, None]:
        try:
            async for chunk in chunks:
                for event in self._reader.feed(chunk):
                    yield event
            self._reader.close()
        except MdmError as why:
            self.failed = why
            raise

    async def next(self) -> Mapping[str, str] | None:
        """The header fields of the next part, in lower case; None behind the last. What is left of the one before is
        passed over. Raises BadRequest, TooLarge."""
        async for event in self._events:
            if isinstance(event, PartBegins):
                return event.headers
            if isinstance(event, PartData):
                self._passed += len(event.data)
                if self._passed > _MOST_PASSED:
                    raise TooLarge(
                        f"more than {_MOST_PASSED} bytes came of instances that are not taken",
                        remedy="send fewer in one request",
                    )
        return None

    async def data(self) -> AsyncIterator[bytes]:
        """The part's bytes. Raises BadRequest instead of ending when its end has not come."""
        async for event in self._events:
            if isinstance(event, PartEnds):
                return
            assert isinstance(event, PartData)
            yield event.data
