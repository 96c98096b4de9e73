"""C-FIND as its asker sees it (PS3.4 §C.4.1, PS3.7 §9.1.2): match by match, within bounds, and cancelled."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, Self

from mdm_async.errors import PeerFailed, SourceAway
from mdm_async.pacs.dimse import commands
from mdm_async.pacs.dimse.commands import C_FIND, MEDIUM, PRIORITY, RESPONSE
from mdm_async.pacs.dimse.pdus import AbortReason, Broken
from mdm_async.pacs.dimse.proposing import Context, Proposed
from mdm_async.pacs.dimse.requestor import Requestor
from mdm_async.pacs.dimse.wire import Silent
from mdm_async.pacs.retrieval import identifiers
from mdm_async.pacs.retrieval.identifiers import ENCODINGS, FIND, Keys
from mdm_async.pacs.retrieval.telling import CANCELLED, ENDS, SUCCESS, failure, is_pending, not_offered
from mdm_async.pacs.source import Said

PROPOSED: Final = Proposed(FIND, tuple(ENCODINGS))
_SAID_OF_EACH: Final = 16 << 10
"""Bytes of a match."""
_AFTER_CANCEL: Final = 1000
"""Matches that may be on their way then."""


@dataclass(eq=False, slots=True)
class Finding:
    """One query; `left`: seconds that may still be waited for the archive.

    It comes to its end by `next`, or is to be ended by `cancel` before the association is used for anything else.
    """

    requestor: Requestor
    context: Context
    id: int
    keys: Keys
    left: float
    ended: bool = field(default=False, init=False)

    @classmethod
    async def begin(cls, requestor: Requestor, level: str, keys: Keys, seconds: float) -> Self:
        """Raises SourceAway where the archive offers no C-FIND."""
        context = requestor.context(FIND)
        if context is None:
            raise not_offered("C-FIND")
        id_ = requestor.next_id()
        asked = commands.request(C_FIND, id_, FIND, has_data_set=True, more={PRIORITY: MEDIUM})
        await requestor.send(context, asked, once(identifiers.encoded(level, keys, context.syntax)))
        return cls(requestor, context, id_, keys, seconds)

    async def next(self) -> Said | None:
        """The next match; None at the end. Raises PeerFailed, SourceAway."""
        said = await self._next()
        return None if said is None else identifiers.decoded(said, self.keys, self.context.syntax)

    async def skip(self, count: int) -> int:
        """Pass over so many matches; how many there were."""
        for skipped in range(count):
            if await self._next() is None:
                return skipped
        return count

    async def cancel(self) -> None:
        """Have no more told, and pass over what is on its way. Of an archive that goes on all the same, or fails, the
        association is aborted: what it has told before is good."""
        if self.ended:
            return
        with suppress(*ENDS, PeerFailed, SourceAway):
            await self.requestor.send(self.context, commands.cancel(self.id))
            if await self.skip(_AFTER_CANCEL) < _AFTER_CANCEL:
                return
        self.requestor.wire.abort(AbortReason.NOT_SPECIFIED)

    async def _next(self) -> bytes | None:
        """The bytes of the next match."""
        if self.ended:
            return None
        loop = asyncio.get_running_loop()
        begun = loop.time()
        try:
            async with asyncio.timeout(max(self.left, 0)):
                _, answer = await self.requestor.receive()
                said = await self.requestor.whole_data_set(_SAID_OF_EACH)
        except TimeoutError:
            raise Silent from None
        self.left -= loop.time() - begun
        if answer.field != C_FIND | RESPONSE or answer.answered != self.id:
            raise Broken(AbortReason.UNEXPECTED_PARAMETER, "something else than an answer to a C-FIND")
        if is_pending(answer.status):
            return said
        self.ended = True
        if answer.status not in (SUCCESS, CANCELLED):
            raise failure("C-FIND", answer.status)
        return None


async def once(data: bytes) -> AsyncIterator[bytes]:
    yield data
