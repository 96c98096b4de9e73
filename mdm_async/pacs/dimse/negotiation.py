"""What a peer asks for in an A-ASSOCIATE-RQ, and what it gets (PS3.8 §9.3.2, §9.3.3, Annex D). Pure."""

import struct
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Final

from mdm_async.dicom.encode import IMPLEMENTATION_CLASS, IMPLEMENTATION_VERSION
from mdm_async.dicom.filemeta import uid_text
from mdm_async.pacs.dimse.pdus import HEADER, AbortReason, Broken, Kind

_FIXED: Final = struct.Struct(">HH16s16s32s")
_ITEM: Final = struct.Struct(">BxH")
_APPLICATION, _OFFERED, _ANSWERED, _USER = 0x10, 0x20, 0x21, 0x50
_ABSTRACT, _SYNTAX = 0x30, 0x40
_LONGEST, _CLASS, _VERSION = 0x51, 0x52, 0x55
APPLICATION: Final = "1.2.840.10008.3.1.1.1"
_LEAST_LONGEST: Final = 64
"""Bytes of a PDU's variable field that a peer has to take; real ones take thousands."""
_MOST_CONTEXTS: Final = 128
"""Their ids are the odd numbers of a byte."""

ACCEPTED, ABSTRACT_UNKNOWN, SYNTAXES_UNKNOWN = 0, 3, 4
"""Results of a presentation context (PS3.8 table 9-18)."""
_ANY_SYNTAX: Final = "1.2.840.10008.1.2"
"""Stands in the answer to a context that is not accepted, where it means nothing."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A presentation context: an abstract syntax in one of several transfer syntaxes."""

    id: int
    abstract: str
    syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of a presentation context; `syntax` counts where it is accepted."""

    id: int
    result: int
    abstract: str
    syntax: str = _ANY_SYNTAX


@dataclass(frozen=True, slots=True)
class Titles:
    """The first bytes of an A-ASSOCIATE-RQ: enough to tell who calls whom."""

    version: int
    called: str
    calling: str


@dataclass(slots=True)
class Request:
    application: str = ""
    contexts: list[Offered] = field(default_factory=list)
    longest: int = 0
    """Bytes of a PDU's variable field that the peer takes; 0: any."""


def parse_titles(body: bytes) -> Titles:
    """Of a PDU's variable field. Raises Broken."""
    if len(body) < _FIXED.size:
        raise _garbled()
    version, _, called, calling, _ = _FIXED.unpack_from(body)
    return Titles(version, _title(called), _title(calling))


def parse_request(body: bytes) -> Request:
    """Of a PDU's variable field. Raises Broken."""
    request = Request()
    for kind, value in _items(body[_FIXED.size :]):
        if kind == _APPLICATION:
            request.application = uid_text(value)
        elif kind == _OFFERED:
            request.contexts.append(_offered(value))
        elif kind == _USER:
            for inner, told in _items(value):
                if inner == _LONGEST and len(told) == 4:
                    request.longest = int.from_bytes(told)
    if 0 < request.longest < _LEAST_LONGEST:
        raise Broken(AbortReason.INVALID_PARAMETER, "a peer that takes hardly anything in a PDU")
    ids = [one.id for one in request.contexts]
    if not ids or len(ids) > _MOST_CONTEXTS or len(set(ids)) < len(ids):
        raise _garbled()
    return request


def answer(
    request: Request, classes: Container[str], syntaxes: Container[str], verification: str
) -> list[Answered]:
    """Each context with the first transfer syntax offered that is known. `verification` is the class of C-ECHO."""
    answered = []
    for one in request.contexts:
        first = next((syntax for syntax in one.syntaxes if syntax in syntaxes), None)
        if one.abstract != verification and one.abstract not in classes:
            answered.append(Answered(one.id, ABSTRACT_UNKNOWN, one.abstract))
        elif first is None:
            answered.append(Answered(one.id, SYNTAXES_UNKNOWN, one.abstract))
        else:
            answered.append(Answered(one.id, ACCEPTED, one.abstract, first))
    return answered


def accept(body: bytes, answered: list[Answered], longest: int) -> bytes:
    """The A-ASSOCIATE-AC to an A-ASSOCIATE-RQ's variable field; `longest`: bytes of a PDU that this side takes."""
    user = (
        _item(_LONGEST, longest.to_bytes(4))
        + _item(_CLASS, IMPLEMENTATION_CLASS)
        + _item(_VERSION, IMPLEMENTATION_VERSION)
    )
    items = [_item(_APPLICATION, APPLICATION.encode())]
    for one in answered:
        head = bytes((one.id, 0, one.result, 0))
        items.append(_item(_ANSWERED, head + _item(_SYNTAX, one.syntax.encode())))
    items.append(_item(_USER, user))
    # Titles are sent back as they came (PS3.8 table 9-17).
    variable = b"\0\1\0\0" + body[4 : _FIXED.size] + b"".join(items)
    return HEADER.pack(Kind.ASSOCIATE_AC, len(variable)) + variable


def _offered(value: bytes) -> Offered:
    if len(value) < 4 or not value[0] & 1:
        raise _garbled()
    abstract, syntaxes = "", []
    for kind, told in _items(value[4:]):
        if kind == _ABSTRACT:
            abstract = uid_text(told)
        elif kind == _SYNTAX:
            syntaxes.append(uid_text(told))
    return Offered(value[0], abstract, tuple(syntaxes))


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        if len(data) - at < _ITEM.size:
            raise _garbled()
        kind, length = _ITEM.unpack_from(data, at)
        at += _ITEM.size
        if length > len(data) - at:
            raise _garbled()
        yield kind, data[at : at + length]
        at += length


def _item(kind: int, value: bytes) -> bytes:
    return _ITEM.pack(kind, len(value)) + value


def _title(padded: bytes) -> str:
    return padded.decode("ascii", "replace").strip("\0 ")


def _garbled() -> Broken:
    return Broken(AbortReason.INVALID_PARAMETER, "a malformed A-ASSOCIATE-RQ")
