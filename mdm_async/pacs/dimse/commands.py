"""Command sets (PS3.7 §6.3, Annex E): group 0000 in implicit VR little endian. Pure."""

from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.elements import IMPLICIT_LITTLE
from mdm_async.dicom.encode import element
from mdm_async.dicom.filemeta import uid_text
from mdm_async.dicom.walking import walk
from mdm_async.errors import Malformed
from mdm_async.pacs.dimse.pdus import AbortReason, Broken

_LENGTH, _SOP_CLASS, _FIELD, _ID, _ANSWERED = 0x0, 0x2, 0x100, 0x110, 0x120
_DATA_SET, _STATUS, _COMMENT, _INSTANCE = 0x800, 0x900, 0x902, 0x1000
_NO_DATA_SET: Final = 0x0101
C_STORE, C_ECHO, C_CANCEL = 0x0001, 0x0030, 0x0FFF
RESPONSE: Final = 0x8000
_MOST_COMMENT: Final = 64
_MOST_UID: Final = 64
_PLAIN: Final = frozenset(map(chr, range(32, 127))) - {"\\"}


@dataclass(frozen=True, slots=True)
class Command:
    """A request of the peer's, or an answer to one where `field` has the bit `RESPONSE`."""

    field: int
    id: int
    sop_class: str
    instance: str
    has_data_set: bool


def parse(data: bytes) -> Command:
    """Raises Broken."""
    found: dict[int, bytes] = {}
    try:
        for one in walk(data, 0, len(data), IMPLICIT_LITTLE):
            found[one.tag] = data[one.value : one.value + one.length]
        return Command(
            _number(found[_FIELD]),
            _number(found.get(_ID, bytes(2))),
            _uid(found.get(_SOP_CLASS, b"")),
            _uid(found.get(_INSTANCE, b"")),
            _number(found[_DATA_SET]) != _NO_DATA_SET,
        )
    except (Malformed, KeyError):
        raise Broken(AbortReason.INVALID_PARAMETER, "a malformed command") from None


def response(to: Command, status: int, comment: str = "") -> bytes:
    """The answer to a request; `comment` is told as ASCII, and cut to what the VR takes."""
    told = "".join(one if one in _PLAIN else "?" for one in comment[:_MOST_COMMENT])
    elements = {
        _SOP_CLASS: (b"UI", to.sop_class.encode()),
        _FIELD: (b"US", (to.field | RESPONSE).to_bytes(2, "little")),
        _ANSWERED: (b"US", to.id.to_bytes(2, "little")),
        _DATA_SET: (b"US", _NO_DATA_SET.to_bytes(2, "little")),
        _STATUS: (b"US", status.to_bytes(2, "little")),
        _COMMENT: (b"LO", told.encode()),
        _INSTANCE: (b"UI", to.instance.encode()),
    }
    body = b"".join(
        element(tag, vr, value, IMPLICIT_LITTLE) for tag, (vr, value) in elements.items() if value
    )
    return element(_LENGTH, b"UL", len(body).to_bytes(4, "little"), IMPLICIT_LITTLE) + body


def _uid(value: bytes) -> str:
    if len(value) > _MOST_UID:
        raise KeyError
    return uid_text(value)


def _number(value: bytes) -> int:
    if len(value) != 2:
        raise KeyError
    return int.from_bytes(value, "little")
