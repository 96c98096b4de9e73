"""Pulling the bytes of one view in spite of cuts, restarts and expired transfer URLs."""

import zlib
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from typing import Final, TypeAlias

from mdm_async.client.source import Changed, Chunk, source_of
from mdm_async.client.ticket import Ticket
from mdm_async.client.wire import Wire
from mdm_async.errors import BadRequest, Gone, TooManyRequests, Unavailable, WrongContent

Renew: TypeAlias = Callable[[], Awaitable[Ticket]]
ATTEMPTS: Final = 8


class Pull:
    """The plaintext of one prepared file, from any offset.

    A cut is taken up again where it happened, up to `attempts` times without progress. When the transfer URL
    has died `renew` prepares another; the pull goes on only if the bytes are the same (Changed otherwise).
    `etag`: of the clear stream that an earlier pull began.
    """

    def __init__(
        self,
        wire: Wire,
        ticket: Ticket,
        *,
        renew: Renew | None = None,
        attempts: int = ATTEMPTS,
        etag: str | None = None,
    ) -> None:
        self.ticket = ticket
        self._wire, self._renew, self._attempts = wire, renew, attempts
        self._source = source_of(wire, ticket, etag)

    @property
    def size(self) -> int:
        """Bytes of the view."""
        return self.ticket.plain_size

    @property
    def etag(self) -> str | None:
        """The strong ETag of the clear stream, once an answer has told it; None for a sealed one."""
        return self._source.etag if self.ticket.sealed is None else None

    def begin_anew(self) -> None:
        """Forget which bytes were begun with."""
        self._source = source_of(self._wire, self.ticket)

    def continue_from(self, etag: str | None) -> None:
        """Accept only the bytes that an earlier pull, which saw this ETag, began with."""
        self._source = source_of(self._wire, self.ticket, etag)

    async def chunks(self, start: int = 0, stop: int | None = None) -> AsyncGenerator[Chunk, None]:
        """The view's bytes start ≤ i < stop (None: to its end), each byte once and in order."""
        end = self.size if stop is None else min(stop, self.size)
        if not 0 <= start <= max(end, start) <= self.size:
            raise BadRequest(f"the range begins after the view's end ({self.size} bytes)")
        position, patience = start, self._wire.patience(self._attempts)
        while position < end:
            try:
                async with aclosing(self._source.read(position, end)) as source:
                    async for chunk in source:
                        position += len(chunk)
                        patience.progress()
                        yield chunk
            except (Unavailable, TooManyRequests, Gone) as error:
                if isinstance(error, Gone) and self._renew is None:
                    raise
                await patience.after(error, at_once=isinstance(error, Gone))
                if isinstance(error, Gone):
                    await self._prepare_again()

    async def read(self, start: int = 0, stop: int | None = None) -> bytes:
        """As `chunks`, in memory. All of it is checked against the announced ADLER32."""
        content = bytearray()
        async for chunk in self.chunks(start, stop):
            content += chunk
        if len(content) == self.size:
            self.demand_checksum(zlib.adler32(content))
        return bytes(content)

    def demand_checksum(self, adler: int) -> None:
        """WrongContent unless the whole view's ADLER32 is the announced one."""
        if f"{adler:08x}" != self.ticket.plain_adler32:
            raise WrongContent("what was pulled does not have the announced checksum", remedy="pull it again")

    async def _prepare_again(self) -> None:
        assert self._renew is not None
        old, etag = self.ticket, self.etag
        self.ticket = await self._renew()
        self._source = source_of(self._wire, self.ticket, etag)
        if identity(self.ticket) != identity(old):
            raise Changed(remedy="pull it again from the beginning")


def identity(ticket: Ticket) -> tuple[str, str, int, str]:
    """What must agree for two tickets to stand for the same bytes. A sealed stream differs at every
    preparation; its plaintext's size and checksum do not."""
    return ticket.surl, ticket.view, ticket.plain_size, ticket.plain_adler32
