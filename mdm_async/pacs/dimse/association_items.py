"""What A-ASSOCIATE-RQ and -AC have in common: fixed fields, and items in items (PS3.8 §9.3.2, Annex D). Pure."""

import struct
from collections.abc import Iterator
from typing import Final

from mdm_async.dicom.encode import IMPLEMENTATION_CLASS, IMPLEMENTATION_VERSION
from mdm_async.pacs.dimse.pdus import AbortReason, Broken

FIXED: Final = struct.Struct(">HH16s16s32s")
"""Version, reserved, called and calling AE title, reserved."""
_ITEM: Final = struct.Struct(">BxH")
APPLICATION_ITEM, OFFERED_ITEM, ANSWERED_ITEM, USER_ITEM = 0x10, 0x20, 0x21, 0x50
ABSTRACT_ITEM, SYNTAX_ITEM = 0x30, 0x40
LONGEST_ITEM, CLASS_ITEM, ROLES_ITEM, VERSION_ITEM = 0x51, 0x52, 0x54, 0x55

APPLICATION: Final = "1.2.840.10008.3.1.1.1"
"""The application context of DICOM (PS3.7 Annex A)."""
LEAST_LONGEST: Final = 64
"""Bytes of a PDU's variable field that a peer has to take; real ones take thousands."""
MOST_CONTEXTS: Final = 128
"""Their ids are the odd numbers of a byte."""
MOST_ASSOCIATE: Final = 256 << 10
"""Bytes of an A-ASSOCIATE-RQ: 128 presentation contexts of forty transfer syntaxes have as many."""


def items(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Type and value of each. Raises Broken."""
    at = 0
    while at < len(data):
        if len(data) - at < _ITEM.size:
            raise garbled()
        kind, length = _ITEM.unpack_from(data, at)
        at += _ITEM.size
        if length > len(data) - at:
            raise garbled()
        yield kind, data[at : at + length]
        at += length


def item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def user_items(longest: int, more: bytes = b"") -> bytes:
    """User information; `longest`: bytes of a PDU's variable field that this side takes; `more`: further items."""
    return item(
        USER_ITEM,
        item(LONGEST_ITEM, longest.to_bytes(4))
        + item(CLASS_ITEM, IMPLEMENTATION_CLASS)
        + more
        + item(VERSION_ITEM, IMPLEMENTATION_VERSION),
    )


def longest_of(told: bytes) -> int:
    """Bytes of a PDU's variable field that the peer takes; 0: any. Raises Broken."""
    longest = int.from_bytes(told) if len(told) == 4 else 0
    if 0 < longest < LEAST_LONGEST:
        raise Broken(AbortReason.INVALID_PARAMETER, "a peer that takes hardly anything in a PDU")
    return longest


def garbled() -> Broken:
    return Broken(AbortReason.INVALID_PARAMETER, "a malformed A-ASSOCIATE-RQ or -AC")
