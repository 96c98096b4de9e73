"""Messages out of P-DATA-TF (PS3.8 §9.3.5): commands whole, data sets as they come, in constant memory."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from mdm_async.pacs.dimse import commands
from mdm_async.pacs.dimse.commands import Command
from mdm_async.pacs.dimse.pdus import COMMAND, LAST, PDV, PDV_BESIDE_LENGTH, AbortReason, Broken, Kind
from mdm_async.pacs.dimse.wire import Wire

LONGEST: Final = 128 << 10
"""Bytes of a PDU's variable field that a peer may send."""
_MOST_COMMAND: Final = 16 << 10
"""Bytes; real ones have a few hundred."""
_MOST_PARTS: Final = 64
"""PDVs of a command; most devices send one."""
_MOST_SKIPPED: Final = 256 << 20
"""Bytes of a data set that nobody wants any more."""
_TOGETHER: Final = 256 << 10
"""Bytes of a data set that are handed on at once, at the least, until the last: many small PDVs cost as many jobs."""


class Released(Exception):
    """The peer asks to end the association."""


class Aborted(Exception):
    """The peer has ended the association."""


class _Piece(NamedTuple):
    """Some bytes of a presentation data value."""

    context: int
    is_command: bool
    is_last: bool
    data: bytes


@dataclass(slots=True)
class Messages:
    """What a peer says in an association."""

    wire: Wire
    _pdu: int = field(default=0, init=False)
    """Bytes that are left of the PDU, and of the PDV in it."""
    _pdv: int = field(default=0, init=False)
    _context: int = field(default=0, init=False)
    _control: int = field(default=0, init=False)
    _in_data_set: int | None = field(default=None, init=False)
    """The context whose data set has not come to its end."""

    async def command(self) -> tuple[int, Command]:
        """The next command and its presentation context. Raises Released, Aborted, Broken, Silent, Gone."""
        whole, parts = bytearray(), 0
        first: int | None = None
        while True:
            begins = not self._pdv
            piece = await self._piece()
            parts += begins
            if not piece.is_command or first not in (None, piece.context):
                raise Broken(
                    AbortReason.UNEXPECTED_PARAMETER, "a data set, or another context, inside a command"
                )
            first = piece.context
            whole += piece.data
            if len(whole) > _MOST_COMMAND or parts > _MOST_PARTS:
                raise Broken(AbortReason.INVALID_PARAMETER, "a command that is too long")
            if piece.is_last:
                break
        command = commands.parse(bytes(whole))
        self._in_data_set = first if command.has_data_set else None
        return first, command

    async def data_set(self) -> AsyncGenerator[bytes, None]:
        """The bytes of the data set that follows the last command. Raises as `command`."""
        together = bytearray()
        while self._in_data_set is not None:
            together += await self._of_data_set()
            if len(together) >= _TOGETHER or self._in_data_set is None:
                whole, together = bytes(together), bytearray()
                yield whole

    async def skip_data_set(self) -> bool:
        """Take what is left of it, and keep nothing: until then a peer takes no answer. False: too much is left."""
        skipped = 0
        while self._in_data_set is not None and skipped <= _MOST_SKIPPED:
            skipped += len(await self._of_data_set())
        return self._in_data_set is None

    async def _of_data_set(self) -> bytes:
        piece = await self._piece()
        if piece.is_command or piece.context != self._in_data_set:
            raise Broken(AbortReason.UNEXPECTED_PARAMETER, "a command, or another context, inside a data set")
        if piece.is_last:
            self._in_data_set = None
        return piece.data

    async def _piece(self) -> _Piece:
        if not self._pdv:
            if not self._pdu:
                self._pdu = await self._next_pdu()
            await self._begin_pdv()
        data = await self.wire.some(min(self._pdv, LONGEST)) if self._pdv else b""
        self._pdv -= len(data)
        self._pdu -= len(data)
        is_last = not self._pdv and bool(self._control & LAST)
        return _Piece(self._context, bool(self._control & COMMAND), is_last, data)

    async def _next_pdu(self) -> int:
        kind, length = await self.wire.header(paced=self._in_data_set is not None)
        if kind in (Kind.RELEASE_RQ, Kind.ABORT) and length == 4:
            await self.wire.exactly(length)
            raise Released if kind == Kind.RELEASE_RQ else Aborted
        if kind != Kind.DATA:
            known = kind in Kind.__members__.values()
            reason = AbortReason.UNEXPECTED_PDU if known else AbortReason.UNRECOGNIZED_PDU
            raise Broken(reason, "a PDU of another kind than may come in an association")
        if not PDV.size <= length <= LONGEST:
            raise Broken(AbortReason.INVALID_PARAMETER, "a PDU that is longer than was agreed, or empty")
        return length

    async def _begin_pdv(self) -> None:
        if self._pdu < PDV.size:
            raise Broken(AbortReason.INVALID_PARAMETER, "a PDU that ends inside a header")
        length, self._context, self._control = PDV.unpack(await self.wire.exactly(PDV.size))
        self._pdu -= PDV.size
        self._pdv = length - PDV_BESIDE_LENGTH
        if not 0 <= self._pdv <= self._pdu:
            raise Broken(AbortReason.INVALID_PARAMETER, "a value that is longer than its PDU")
        if not self._pdv and not self._control & LAST:
            raise Broken(AbortReason.INVALID_PARAMETER, "an empty value that is not the last")
