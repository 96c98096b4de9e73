"""The C-STORE sub-operations of C-GET and C-MOVE (PS3.4 §C.4.2, §C.4.3): images leave one after the other, in constant
memory. One that cannot leave is counted as failed, and the others go on."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

import structlog

from mdm_async.auditing.reads import Reading
from mdm_async.blobs.store import FileRange, Piece
from mdm_async.catalog.metadata.studies import Row
from mdm_async.dicom.elements import DEFLATED, Encoding
from mdm_async.dicom.filemeta import META_LIMIT, MetaReader, read_meta
from mdm_async.dicom.query_keys import failed_instances
from mdm_async.dicom.quirks import EXPLICIT_SYNTAX
from mdm_async.errors import Damaged, Forbidden, Gone, MdmError, NotAcceptable, NotOnline
from mdm_async.images.budget import Held
from mdm_async.images.metrics import CLEAR_OUT
from mdm_async.images.reading import stream
from mdm_async.images.reading.representation import Ending, Representation, Source, Span
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.studies import searching
from mdm_async.images.studies.retrieving import retrieved
from mdm_async.images.studies.rewriting import MOST_REWRITTEN, REWRITTEN, rewritten
from mdm_async.images.transfers.warm import WarmTurl
from mdm_async.names import Caller, View
from mdm_async.pacs.dimse.answers import CANCELLED, NOT_PERFORMED, PENDING, SOME_FAILED, Answer, Tell
from mdm_async.pacs.dimse.commands import Counts
from mdm_async.pacs.dimse.operations import BrokenOff, Operation
from mdm_async.pacs.dimse.queries import ISSUER, of_one_issuer
from mdm_async.pacs.dimse.shown import Shown
from mdm_async.pacs.dimse.taking import Lost, Sent, Taker
from mdm_async.pacs.statuses import SUCCESS
from mdm_async.querying.conditions import Condition
from mdm_async.seldom import Seldom

_WEIGHT: Final = 8
"""Looking for what UIDs name takes as long as so many files of a request."""
_AHEAD: Final = 2 << 20
"""Bytes that a peer who hardly takes any leaves in memory."""
_TOGETHER: Final = 16
"""Views are opened so many at a time."""
_MOST_TOLD: Final = 1000
"""Failed instances in an answer: as many as an element in explicit VR holds."""
_META: Final = 4096
"""Bytes in which file meta information ends, as a rule."""
_WARNED: Final = 0xB000

_TOLD: Final = Seldom(60)
_log = structlog.get_logger()


@dataclass(slots=True)
class _Done:
    remaining: int
    completed: int = 0
    warned: int = 0
    failed: list[str] = field(default_factory=list)
    away: int = 0
    """Of the failed: those that are at their archive alone."""

    @property
    def counts(self) -> Counts:
        return Counts(self.remaining, self.completed, len(self.failed), self.warned)

    def give_up(self, left: Sequence[str]) -> None:
        self.remaining = 0
        self.failed += left

    def last(self, *, cancelled: bool, encoding: Encoding) -> Answer:
        status, comment = SUCCESS, ""
        if cancelled:
            status = CANCELLED
        elif self.failed:
            status = SOME_FAILED if self.completed or self.warned else NOT_PERFORMED
            comment = "some images could not be sent; the server's log says why"
            if self.away:
                # At most 64 characters (LO).
                comment = f"not here, have them staged (mdm pacs stage): {self.away} images"
        counts = self.counts if cancelled else self.counts._replace(remaining=None)
        failed = failed_instances(self.failed[:_MOST_TOLD], encoding) if self.failed else b""
        return Answer(status, comment, counts, failed)


def none_sent(rows: Sequence[Row], comment: str, encoding: Encoding) -> Answer:
    done = _Done(0, failed=[row.instance for row in rows])
    return done.last(cancelled=False, encoding=encoding)._replace(comment=comment)


@dataclass(frozen=True, slots=True)
class Sending:
    """Of one caller in one view. `ae`: who asked; `to`: the address that images go to, for the audit; `encoding`: that
    answers are written in."""

    shown: Shown
    caller: Caller
    view: View
    ae: str
    to: str
    encoding: Encoding

    async def found(self, conditions: Sequence[Condition]) -> Sequence[Row]:
        """All instances of which this holds and which the caller may read. Raises as `searching.instances`; Unfit."""
        turns, payer = self.shown.turns, self.caller.payer
        with turns.serving(payer):
            async with turns.turn(payer, _WEIGHT):
                told = (*searching.OF_RETRIEVED, ISSUER)
                rows = await searching.instances(
                    self.shown.desk, self.caller, conditions, None, self.view, told
                )
                wanted = of_one_issuer(conditions, rows)
                return (await retrieved(self.shown.desk, self.shown.delivery, wanted)).rows

    async def send(self, rows: Sequence[Row], taker: Taker, operation: Operation, tell: Tell) -> Answer:
        """The last answer; `tell` gets those before. Raises TooManyRequests before the first leaves, and what the taker
        raises; BrokenOff."""
        rewrites = any(
            (found := taker.way(class_of(row), syntax_of(row))) and found[1] != syntax_of(row) for row in rows
        )
        held = _AHEAD + (4 * MOST_REWRITTEN if rewrites else 0)
        payer, done = self.caller.payer, _Done(len(rows))
        with (
            self.shown.admission.sending(payer, Ending(), taker.cut),
            self.shown.budget.holding(payer, held) as memory,
        ):
            for place, row in enumerate(rows):
                if operation.cancelled:
                    break
                if place % _TOGETHER == 0:
                    soon = [f"guid:{one.guid}" for one in rows[place : place + _TOGETHER]]
                    await self.shown.opened.open_soon(self.caller, soon, self.view)
                try:
                    status = await self._sent(row, taker, memory)
                except Lost:
                    taker.cut()
                    done.give_up([one.instance for one in rows[place:]])
                    break
                done.remaining -= 1
                if status == SUCCESS:
                    done.completed += 1
                elif isinstance(status, int) and status & 0xF000 == _WARNED:
                    done.warned += 1
                else:
                    done.failed.append(row.instance)
                    done.away += isinstance(status, NotOnline)
                if done.remaining:
                    await tell(Answer(PENDING, counts=done.counts))
        return done.last(cancelled=operation.cancelled and done.remaining > 0, encoding=self.encoding)

    async def _sent(self, row: Row, taker: Taker, memory: Held) -> int | MdmError:
        """The status that the taker answered, or why nothing was sent."""
        try:
            return await self._send(row, taker, memory)
        except MdmError as why:
            self._tell(row, why)
            return why

    async def _send(self, row: Row, taker: Taker, memory: Held) -> int:
        """The status that the taker answered. Raises MdmError where nothing was sent."""
        stored = syntax_of(row)
        found = taker.way(class_of(row), stored)
        if found is None:
            raise NotAcceptable("no presentation context takes its SOP class in its transfer syntax")
        context, syntax = found
        opened = await self.shown.opened.open(self.caller, f"guid:{row.guid}", view=row.view)
        if opened.file.recipient is not None:
            raise Forbidden("the view is delivered sealed only")
        if syntax == stored:
            body = await self._stored(opened.warm.served, opened.plain, syntax)
        else:
            body = await self._remade(opened.warm.served, stored, syntax, memory)
        return await self._stream(row, taker, context, opened.warm, body)

    async def _stream(self, row: Row, taker: Taker, context: int, warm: WarmTurl, body: "_Body") -> int:
        if warm.ending.ended:
            raise Gone()
        with warm.ending.cutting(taker.cut):
            async with (
                self.shown.reads.reading(warm.read, warm.ending, self.to) as reading,
                body.source.open([body.span], files=False) as pieces,
                aclosing(_in_order(pieces(*body.span), body, reading)) as data_set,
            ):
                # What cannot be read at all is found out before anything is said of it.
                first = await anext(data_set)
                sent = Sent(context, class_of(row), row.instance, _behind(first, data_set))
                try:
                    return await taker.take(sent)
                except MdmError as why:
                    self._tell(row, why)
                    raise BrokenOff from why

    async def _stored(self, served: Source, view: ReadyView, syntax: str) -> "_Body":
        reader, at = MetaReader(force=True), 0
        for stop in (min(_META, view.size), min(2 * META_LIMIT, view.size)):
            async for piece in stream.clear(self.shown.blobs, view, at, stop):
                if reader.complete:
                    break
                reader.feed(piece)
            at = stop
        if not reader.complete:
            reader.close()
        if reader.transfer_syntax != syntax:
            raise NotAcceptable("an image is written in another transfer syntax than it says")
        size = view.size - reader.end
        # PS3.5 §A.5: what is deflated is padded.
        return _Body(b"", served, (reader.end, view.size), b"\0" if size & 1 and syntax == DEFLATED else b"")

    async def _remade(self, served: Representation, stored: str, syntax: str, memory: Held) -> "_Body":
        explicit = syntax == EXPLICIT_SYNTAX
        if stored in REWRITTEN:
            new = await rewritten(self.shown.blobs, self.shown.cipher, served, explicit=explicit)
        else:
            # One that would not wait for its turn would be a failed sub-operation.
            new = await self.shown.decompressor.decompressed(served, memory, explicit=explicit, begun=True)
        return _Body(new.before[read_meta(new.before).end :], new.source, new.pixels, new.after)

    def _tell(self, row: Row, why: MdmError) -> None:
        if isinstance(why, Damaged):
            told = {"guid": str(row.guid), "view": row.view, "reason": why.detail}
            _log.error("a stored file is damaged; run mdm fsck", **told)
        elif (unsaid := _TOLD.tell(f"{self.ae} {why.detail}")) is not None:
            told = {"remedy": why.remedy} if isinstance(why, NotOnline) else {}
            _log.warning("an image could not be sent", ae=self.ae, reason=why.detail, **told, **unsaid)


@dataclass(frozen=True, slots=True, repr=False)
class _Body:
    """A data set: new bytes, some of a source, new bytes."""

    before: bytes
    source: Source
    span: Span
    after: bytes


async def _in_order(
    stored: AsyncGenerator[Piece, None], body: _Body, reading: Reading
) -> AsyncGenerator[bytes | memoryview, None]:
    async with aclosing(stored) as pieces:
        begin = body.before
        async for piece in pieces:
            assert not isinstance(piece, FileRange)
            if begin:
                yield begin
                begin = b""
            CLEAR_OUT.inc(len(piece))
            reading.bytes += len(piece)
            yield piece
    for one in (begin, body.after):
        if one:
            yield one


async def _behind(
    first: bytes | memoryview, rest: AsyncGenerator[bytes | memoryview, None]
) -> AsyncGenerator[bytes | memoryview, None]:
    yield first
    async for piece in rest:
        yield piece


def syntax_of(row: Row) -> str:
    """That it is stored in."""
    return str(next(iter(row.said.get("TransferSyntaxUID", ())), ""))


def class_of(row: Row) -> str:
    return row.classes[0] if row.classes else ""
