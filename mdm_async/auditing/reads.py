"""Reads in the audit trail: the intent before the first byte, what came of it after the last.

A transfer URL is read by many requests; each pair of a transfer URL and a source has one intent on each node, and an
outcome for each second in which it was read. Intents that come together share one commit.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from uuid import UUID

import structlog

from mdm_async import scitags
from mdm_async.catalog.trail import acts
from mdm_async.catalog.trail.acts import Act
from mdm_async.crypt4gh.segment import padded
from mdm_async.errors import MdmError
from mdm_async.names import IDENTIFIED, Caller
from mdm_async.postgres.database import Database
from mdm_async.postgres.turns import as_nobody

_SECONDS: Final = 1.0
_KNOWN: Final = 65_536
"""Pairs whose intent need not be written again; of one forgotten it is."""
_BATCH: Final = 1_000

_log = structlog.get_logger()
_Pair = tuple[bytes, str]
"""Key and source."""
_Ended = tuple[_Pair, str, int | None]
"""How, and by which SciTag."""


@dataclass(frozen=True, slots=True)
class Read:
    """Who reads what. `key` joins its rows, and those of all who read alike: of a hash, for it opens nothing."""

    key: bytes
    caller: str
    owner: str
    """As `Caller.owner`."""
    guid: UUID | None
    view: str | None
    sealed: bool


class Ends(Protocol):
    @property
    def ended(self) -> bool:
        """Released, revoked or deleted while it was read."""
        ...


@dataclass(slots=True)
class Reading:
    """One request that is being answered; `bytes` counts what has been sent."""

    bytes: int = 0


@dataclass(slots=True)
class _Sum:
    """Of the requests that ended alike since the last row."""

    read: Read
    requests: int = 0
    bytes: int = 0


@dataclass(slots=True)
class _Intent:
    act: Act
    written: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Reads:
    """Of one node. `write_forever` writes outcomes; `close` those that are left."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._begun: OrderedDict[_Pair, asyncio.Future[None]] = OrderedDict()
        self._intents: list[_Intent] = []
        self._ended: dict[_Ended, _Sum] = {}
        self._writing_intents: asyncio.Future[None] | None = None
        self._writing: asyncio.Future[None] | None = None

    @asynccontextmanager
    async def reading(self, read: Read, ending: Ends, source: str) -> AsyncIterator[Reading]:
        """While bytes are sent; its intent is on the database's disk when this begins.

        Raises Unavailable when that cannot be.
        """
        await self.begin(read, source)
        reading, ended = Reading(), "broken"
        try:
            yield reading
            ended = "success"
        finally:
            self.sent(read, source, reading.bytes, "ended" if ending.ended else ended)

    async def begin(self, read: Read, source: str) -> None:
        """Write the intent, once for a key and a source. Raises Unavailable.

        The first sealed byte gives the key of that image's pixels to its recipient.
        """
        pair = read.key, source
        written = self._begun.get(pair)
        if written is None:
            details: dict[str, Any] = {"disclosed": "whole image"} if read.sealed else {}
            details |= scitags.details(scitags.shown.get())
            intent = _Intent(_act(read, source, "begun", None, details))
            self._begun[pair] = written = intent.written
            self._intents.append(intent)
            if self._writing_intents is None:
                self._writing_intents = as_nobody(self._write_intents())
            while len(self._begun) > _KNOWN:
                self._begun.popitem(last=False)
        else:
            self._begun.move_to_end(pair)
        if not written.done():
            # The others who wait for it must not be cancelled with this one.
            await asyncio.shield(written)
        elif written.cancelled() or written.exception() is not None:
            self._begun.pop(pair, None)
            await self.begin(read, source)

    def has_begun(self, read: Read, source: str) -> bool:
        """Whether its intent is written, so that `begin` would wait for nothing."""
        written = self._begun.get((read.key, source))
        if written is None or not written.done() or written.cancelled() or written.exception() is not None:
            return False
        self._begun.move_to_end((read.key, source))
        return True

    async def begin_all(self, reads: Sequence[Read], source: str) -> None:
        """As `begin`, of many, by one commit; of those that are not read after all, `sent` tells."""
        await asyncio.gather(*(self.begin(one, source) for one in reads))

    def sent(self, read: Read, source: str, size: int, ended: str) -> None:
        """A request has ended: `success`, `broken`, or `ended` as the transfer URL was.

        An original's exact size would identify it, so of the identified view whole segments are counted.
        """
        if read.view == IDENTIFIED:
            size = padded(size)
        tag = scitags.shown.get()
        scitags.count(tag, "out", size)
        total = self._ended.setdefault(((read.key, source), ended, tag), _Sum(read))
        total.requests += 1
        total.bytes += size

    async def write_forever(self) -> None:
        while True:
            await asyncio.sleep(_SECONDS)
            # Not cut short, or nobody would know whether it was written.
            self._writing = as_nobody(self._write())
            await asyncio.shield(self._writing)

    async def close(self) -> None:
        """Write all that is left; what cannot be written now is lost, and counted."""
        for writing in (self._writing, self._writing_intents):
            if writing is not None:
                await writing
        await self._write()
        if self._ended:
            _log.error("outcomes of reads could not be put into the audit", count=len(self._ended))

    async def _write_intents(self) -> None:
        """While one commit runs, those that come meanwhile gather for the next."""
        try:
            while self._intents:
                batch, self._intents = self._intents[:_BATCH], self._intents[_BATCH:]
                try:
                    async with self._database.acquire() as db:
                        await acts.record(db, [intent.act for intent in batch])
                except Exception as why:
                    self._fail(batch, why)
                else:
                    for intent in batch:
                        intent.written.set_result(None)
        finally:
            self._writing_intents = None

    def _fail(self, batch: list[_Intent], why: Exception) -> None:
        for intent in batch:
            intent.written.set_exception(why)
            # Whoever waited may have gone.
            intent.written.exception()

    async def _write(self) -> None:
        # What ends meanwhile waits for the next second, or steady readers would get rows without end.
        due = list(self._ended)
        for start in range(0, len(due), _BATCH):
            batch = {key: self._ended.pop(key) for key in due[start : start + _BATCH]}
            try:
                async with self._database.acquire() as db:
                    await acts.record(db, [_outcome(key, total) for key, total in batch.items()])
            except Exception as why:
                for key, total in batch.items():
                    again = self._ended.setdefault(key, _Sum(total.read))
                    again.requests += total.requests
                    again.bytes += total.bytes
                if not isinstance(why, MdmError):
                    _log.error("outcomes of reads cannot be put into the audit", kind=type(why).__name__)
                return


def _outcome(key: _Ended, total: _Sum) -> Act:
    (_, source), ended, tag = key
    details = {"requests": total.requests, **scitags.details(tag)}
    return _act(total.read, source, ended, total.bytes, details)


def _act(read: Read, source: str, outcome: str, size: int | None, details: dict[str, Any]) -> Act:
    return Act(
        Caller(read.caller, frozenset(), source=source),
        "read",
        outcome,
        guid=read.guid,
        view=read.view,
        bytes=size,
        details={"transfer": read.key.hex()[:16], **details},
    )
