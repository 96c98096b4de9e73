"""Protocol data units of the upper layer (PS3.8 §9.3): what they look like on the wire. Pure."""

import struct
from collections.abc import AsyncGenerator, AsyncIterable
from enum import IntEnum
from typing import Final, NamedTuple

HEADER: Final = struct.Struct(">BxI")
"""Type and length of what follows."""
PDV: Final = struct.Struct(">IBB")
"""Length of what follows it, presentation context, control (PS3.8 §9.3.5.1, Annex E.2)."""
PDV_BESIDE_LENGTH: Final = 2
"""Bytes of context and control, which the length counts."""
COMMAND, LAST = 1, 2
"""Bits of a control."""


class Kind(IntEnum):
    """Of a PDU."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class Rejection(NamedTuple):
    """Why there is no association (PS3.8 §9.3.4): result, source, reason."""

    result: int
    source: int
    reason: int


UNKNOWN_CALLING: Final = Rejection(1, 1, 3)
UNKNOWN_CALLED: Final = Rejection(1, 1, 7)
UNKNOWN_APPLICATION: Final = Rejection(1, 1, 2)
UNKNOWN_PROTOCOL: Final = Rejection(1, 2, 2)
LIMIT_REACHED: Final = Rejection(2, 3, 2)


class AbortReason(IntEnum):
    """Why this side ends an association (PS3.8 §9.3.8)."""

    NOT_SPECIFIED = 0
    UNRECOGNIZED_PDU = 1
    UNEXPECTED_PDU = 2
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


class Broken(Exception):
    """The peer does not keep to the protocol; str(self) is what it did, free of anything that it sent."""

    def __init__(self, reason: AbortReason, what: str) -> None:
        self.reason = reason
        super().__init__(what)


_BY_PROVIDER: Final = 2
RELEASE_RQ: Final = HEADER.pack(Kind.RELEASE_RQ, 4) + bytes(4)
RELEASE_RP: Final = HEADER.pack(Kind.RELEASE_RP, 4) + bytes(4)


def reject(why: Rejection) -> bytes:
    return HEADER.pack(Kind.ASSOCIATE_RJ, 4) + bytes((0, *why))


def abort(reason: AbortReason) -> bytes:
    return HEADER.pack(Kind.ABORT, 4) + bytes((0, 0, _BY_PROVIDER, reason))


def command_data(context: int, command: bytes, longest: int) -> bytes:
    """A command set as P-DATA-TF PDUs, each with a variable field of at most `longest` bytes (0: any), as the peer
    said."""
    step = (longest or len(command) + PDV.size) - PDV.size
    together = bytearray()
    for start in range(0, len(command), step):
        part = command[start : start + step]
        together += data(context, COMMAND | (LAST if start + step >= len(command) else 0), part)
    return bytes(together)


def data(context: int, control: int, part: bytes) -> bytes:
    """A P-DATA-TF PDU with one presentation data value."""
    pdv = PDV.pack(len(part) + PDV_BESIDE_LENGTH, context, control) + part
    return HEADER.pack(Kind.DATA, len(pdv)) + pdv


async def data_set_data(
    context: int, data_set: AsyncIterable[bytes | memoryview], longest: int
) -> AsyncGenerator[bytes, None]:
    """A data set as P-DATA-TF PDUs, each with a variable field of at most `longest` bytes, as it comes."""
    step = longest - PDV.size & ~1  # Values have an even length (PS3.8 §9.3.1).
    held = bytearray()
    async for chunk in data_set:
        held += chunk
        # What comes last must be told to be the last.
        while len(held) > step:
            yield data(context, 0, bytes(held[:step]))
            del held[:step]
    yield data(context, LAST, bytes(held))
