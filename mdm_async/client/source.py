"""One prepared file as a source of its view's bytes, from any offset: pulled clear, or sealed and opened here.

A source makes one attempt; `pull` tries again where that is worth it.
"""

import asyncio
import re
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Final, Protocol, TypeAlias

import aiohttp

from mdm_async.client.sealed_reader import SealedReader
from mdm_async.client.ticket import SealedTerms, Ticket
from mdm_async.client.wire import Wire
from mdm_async.crypt4gh.layout import SealedLayout
from mdm_async.crypt4gh.segment import RUN, SEGMENT
from mdm_async.errors import Unavailable, WrongContent

Chunk: TypeAlias = bytes | memoryview

READ: Final = 256 * 1024
_THREAD_WORTH: Final = 128 * 1024
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)\Z")


class Changed(WrongContent):
    """The bytes behind the name are no longer those that were begun with."""

    title = "the image changed while it was pulled"


class Source(Protocol):
    """Where the bytes of a view come from."""

    etag: str | None

    def read(self, start: int, stop: int) -> AsyncGenerator[Chunk, None]:
        """The view's bytes start ≤ i < stop. Unavailable when cut, Gone when the transfer URL is dead."""
        ...


def source_of(wire: Wire, ticket: Ticket, etag: str | None = None) -> Source:
    """`etag`: of an earlier, unfinished pull of the same bytes; only a clear source needs it."""
    if ticket.sealed is None:
        return ClearSource(wire, ticket, etag)
    return SealedSource(wire, ticket, ticket.sealed)


class ClearSource:
    """The bytes as the transfer URL serves them."""

    def __init__(self, wire: Wire, ticket: Ticket, etag: str | None = None) -> None:
        self.etag = etag
        self._wire, self._ticket = wire, ticket

    async def read(self, start: int, stop: int) -> AsyncGenerator[Chunk, None]:
        async with self._fetch(start, stop) as response:
            left = stop - start
            async for chunk in response.content.iter_chunked(READ):
                left -= len(chunk)
                if left < 0:
                    raise WrongContent("more bytes came than were asked for")
                yield chunk
        if left:
            raise Unavailable("the transfer was cut")

    @asynccontextmanager
    async def _fetch(self, start: int, stop: int) -> AsyncIterator[aiohttp.ClientResponse]:
        """A checked answer with exactly the bytes start ≤ i < stop of what the transfer URL serves."""
        ticket = self._ticket
        whole = (start, stop) == (0, ticket.size)
        headers = {"Accept-Encoding": "identity"}
        if not whole or self.etag:
            headers["Range"] = f"bytes={start}-{stop - 1}"
        if self.etag:
            headers["If-Range"] = self.etag
        sealed = ticket.sealed is not None
        async with self._wire.transfer("GET", ticket.url, sealed=sealed, headers=headers) as response:
            etag = response.headers.get("ETag")
            if self.etag and etag != self.etag:
                raise Changed(remedy="pull it again from the beginning")
            if response.status == 206:
                _demand_range(response, start, stop, ticket.size)
            elif response.status != 200:
                raise WrongContent(f"a transfer answered HTTP {response.status}")
            elif not whole:
                raise WrongContent("the server ignores ranges")
            if response.content_length not in (None, stop - start):
                raise Changed("the transfer has another size than was announced")
            if etag and not etag.startswith("W/"):
                self.etag = etag
            yield response


class SealedSource(ClearSource):
    """The plaintext of a sealed stream. The header is fetched once; then only the segments that are needed.

    Each run of segments is checked before any of its plaintext is given. Whoever reads all of it from the
    beginning, in however many attempts, also has the announced ADLER32 of the sealed stream checked.
    """

    def __init__(self, wire: Wire, ticket: Ticket, terms: SealedTerms) -> None:
        super().__init__(wire, ticket)
        self._reader = SealedReader(
            terms.parts,
            recipient_private=terms.recipient.private,
            sender_public=terms.sender,
            sealed_size=ticket.size,
            plain_size=terms.plain_size,
        )
        self._opened = False
        self._summed = 0
        self._adler = zlib.adler32(b"")

    async def read(self, start: int, stop: int) -> AsyncGenerator[Chunk, None]:
        if stop <= start:
            return
        header_size = self._reader.layout.header_size
        begin, end = self._reader.covering(start, stop)
        if not self._opened and begin > header_size:
            async with self._fetch(0, header_size) as response:
                self._open_header(await _exactly(response, bytearray(), header_size))
        async with self._fetch(begin if self._opened else 0, end) as response:
            buffer = bytearray()
            if not self._opened:
                await _exactly(response, buffer, header_size)
                self._open_header(buffer[:header_size])
                del buffer[:header_size]
            for piece in _pieces(self._reader.layout, start, stop):
                cipher_start, cipher_stop = self._reader.covering(*piece)
                size = cipher_stop - cipher_start
                await _exactly(response, buffer, size)
                cipher = bytes(memoryview(buffer)[:size])
                del buffer[:size]
                if size < _THREAD_WORTH:
                    plain = self._reader.decrypt_range(*piece, cipher)
                else:
                    plain = await asyncio.to_thread(self._reader.decrypt_range, *piece, cipher)
                self._add_to_sum(cipher_start, cipher)
                for chunk in plain:
                    yield chunk

    def _open_header(self, header: bytearray) -> None:
        self._reader.open_header(header)
        self._opened = True
        self._add_to_sum(0, bytes(header))

    def _add_to_sum(self, begin: int, cipher: bytes) -> None:
        if begin != self._summed:
            return
        self._adler = zlib.adler32(cipher, self._adler)
        self._summed += len(cipher)
        if self._summed == self._ticket.size and f"{self._adler:08x}" != self._ticket.adler32:
            raise WrongContent("the sealed stream does not have the announced checksum")


def _pieces(layout: SealedLayout, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The range cut where segments end, a run of segments at most, so that no segment is in two pieces."""
    for found in layout.locate(start, stop):
        begin = layout.plain_starts[found.part]
        end = min(begin + layout.parts[found.part].plain_size, stop)
        for segment in range(found.first_segment, found.stop_segment, RUN):
            yield max(begin + segment * SEGMENT, start), min(begin + (segment + RUN) * SEGMENT, end)


async def _exactly(response: aiohttp.ClientResponse, buffer: bytearray, size: int) -> bytearray:
    """Fill the buffer to at least `size` bytes."""
    while len(buffer) < size:
        chunk = await response.content.read(READ)
        if not chunk:
            raise Unavailable("the transfer was cut")
        buffer += chunk
    return buffer


def _demand_range(response: aiohttp.ClientResponse, start: int, stop: int, size: int) -> None:
    match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
    if match is None or tuple(map(int, match.groups())) != (start, stop - 1, size):
        raise WrongContent("the server sent another range than was asked for")
