"""Command sets (PS3.7 §6.3, Annex E): group 0000 in implicit VR little endian. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

from mdm_async.dicom.elements import IMPLICIT_LITTLE
from mdm_async.dicom.encode import element
from mdm_async.dicom.filemeta import uid_text
from mdm_async.dicom.walking import walk
from mdm_async.errors import Malformed
from mdm_async.pacs.dimse.pdus import AbortReason, Broken

_LENGTH, _SOP_CLASS, _FIELD, _ID, _ANSWERED = 0x0, 0x2, 0x100, 0x110, 0x120
_DATA_SET, _STATUS, _COMMENT, _INSTANCE = 0x800, 0x900, 0x902, 0x1000
_ASKED_CLASS, _ASKED_INSTANCE, EVENT, _ACTION, _COUNTS = 0x3, 0x1001, 0x1002, 0x1008, 0x1020
DESTINATION, PRIORITY, ORIGINATOR, ORIGINATOR_ID = 0x600, 0x700, 0x1030, 0x1031
"""Of C-MOVE; of requests with a priority; of a C-STORE that a C-MOVE caused: its asker's AE title and message ID."""
_VRS: Final = {
    _SOP_CLASS: b"UI",
    _COMMENT: b"LO",
    _INSTANCE: b"UI",
    DESTINATION: b"AE",
    ORIGINATOR: b"AE",
}
"""Of texts; numbers are of two bytes (US)."""
_NO_DATA_SET, _A_DATA_SET = 0x0101, 0x0001
C_STORE, C_GET, C_FIND, C_MOVE, C_ECHO, C_CANCEL = 0x0001, 0x0010, 0x0020, 0x0021, 0x0030, 0x0FFF
N_EVENT_REPORT, N_ACTION = 0x0100, 0x0130
RESPONSE: Final = 0x8000
MEDIUM: Final = 0
"""A priority."""
VERIFICATION: Final = "1.2.840.10008.1.1"
"""The class of C-ECHO."""
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
    answered: int = 0
    """Message ID of the request that it answers, or cancels."""
    status: int = 0
    """Of an answer (PS3.7 Annex C)."""
    originator: str = ""
    originator_id: int = 0
    """AE title and message ID of the C-MOVE that caused a C-STORE (PS3.7 §9.3.1)."""
    destination: str = ""
    """Of a C-MOVE: an AE title."""
    action: int = 0
    """Of an N-ACTION: its type."""


class Counts(NamedTuple):
    """Of sub-operations (PS3.7 §9.1.3.1); `remaining`: None in an answer that is the last."""

    remaining: int | None
    completed: int
    failed: int
    warned: int


def parse(data: bytes) -> Command:
    """Raises Broken."""
    found: dict[int, bytes] = {}
    try:
        for one in walk(data, 0, len(data), IMPLICIT_LITTLE):
            found[one.tag] = data[one.value : one.value + one.length]
        return Command(
            _number(found[_FIELD]),
            _number(found.get(_ID, bytes(2))),
            _uid(found.get(_SOP_CLASS) or found.get(_ASKED_CLASS, b"")),
            _uid(found.get(_INSTANCE) or found.get(_ASKED_INSTANCE, b"")),
            _number(found[_DATA_SET]) != _NO_DATA_SET,
            _number(found.get(_ANSWERED, bytes(2))),
            _number(found.get(_STATUS, bytes(2))),
            found.get(ORIGINATOR, b"").decode("ascii", "replace").strip("\0 "),
            _number(found.get(ORIGINATOR_ID) or bytes(2)),
            found.get(DESTINATION, b"").decode("ascii", "replace").strip("\0 "),
            _number(found.get(_ACTION) or bytes(2)),
        )
    except (Malformed, KeyError):
        raise Broken(AbortReason.INVALID_PARAMETER, "a malformed command") from None


def request(
    field: int,
    id_: int,
    sop_class: str,
    *,
    instance: str = "",
    has_data_set: bool = False,
    more: Mapping[int, int | str] | None = None,
) -> bytes:
    """A command that asks for something; `more`: what else it says, by tag."""
    told: dict[int, int | str] = {
        _SOP_CLASS: sop_class,
        _FIELD: field,
        _ID: id_,
        _DATA_SET: _A_DATA_SET if has_data_set else _NO_DATA_SET,
        _INSTANCE: instance,
    }
    return _encoded(told | dict(more or {}))


def store_request(id_: int, sop_class: str, instance: str, *, mover: str = "", mover_id: int = 0) -> bytes:
    """A C-STORE; `mover`: AE title, with a message ID, of the C-MOVE that it belongs to."""
    more: dict[int, int | str] = {PRIORITY: MEDIUM}
    if mover:
        more |= {ORIGINATOR: mover, ORIGINATOR_ID: mover_id}
    return request(C_STORE, id_, sop_class, instance=instance, has_data_set=True, more=more)


def cancel(id_: int) -> bytes:
    """A C-CANCEL of the request with this message ID (PS3.7 §9.3.2.3): nothing answers it but that request's end."""
    return _encoded({_FIELD: C_CANCEL, _ANSWERED: id_, _DATA_SET: _NO_DATA_SET})


def response(
    to: Command, status: int, comment: str = "", *, counts: Counts | None = None, has_data_set: bool = False
) -> bytes:
    """The answer to a request; `comment` is told as ASCII, and cut to what the VR takes."""
    told = "".join(one if one in _PLAIN else "?" for one in comment[:_MOST_COMMENT])
    values: dict[int, int | str] = {
        _SOP_CLASS: to.sop_class,
        _FIELD: to.field | RESPONSE,
        _ANSWERED: to.id,
        _DATA_SET: _A_DATA_SET if has_data_set else _NO_DATA_SET,
        _STATUS: status,
        _COMMENT: told,
        _INSTANCE: to.instance,
    }
    if to.action:
        values[_ACTION] = to.action
    for place, count in enumerate(counts or ()):
        if count is not None:
            values[_COUNTS + place] = min(count, 0xFFFF)
    return _encoded(values)


def _encoded(values: Mapping[int, int | str]) -> bytes:
    """In the order of their tags; empty texts are left out."""
    body = b""
    for tag, value in sorted(values.items()):
        if isinstance(value, int):
            body += element(tag, b"US", value.to_bytes(2, "little"), IMPLICIT_LITTLE)
        elif value:
            body += element(tag, _VRS[tag], value.encode(), IMPLICIT_LITTLE)
    return element(_LENGTH, b"UL", len(body).to_bytes(4, "little"), IMPLICIT_LITTLE) + body


def _uid(value: bytes) -> str:
    if len(value) > _MOST_UID:
        raise KeyError
    return uid_text(value)


def _number(value: bytes) -> int:
    if len(value) != 2:
        raise KeyError
    return int.from_bytes(value, "little")
