"""Identifiers of queries and their answers (PS3.4 §C.2.2.2): flat data sets of a few short values. Pure."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from mdm_async.dicom.character_sets import NAME_PARTS, TEXT_PARTS, CharacterSet
from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.encode import element, item
from mdm_async.dicom.walking import items, walk
from mdm_async.errors import Malformed

CHARACTER_SET, QUERY_LEVEL, RETRIEVE_TITLE = 0x00080005, 0x00080052, 0x00080054
FAILED_INSTANCES: Final = 0x00080058
_TRANSACTION, _REFERENCED, _FAILED = 0x00081195, 0x00081199, 0x00081198
_CLASS, _INSTANCE, _REASON = 0x00081150, 0x00081155, 0x00081197
MOST_KEYS: Final = 512
_UNICODE: Final = b"ISO_IR 192"
_LONGEST_DECIMAL: Final = 16
_NUMBERS: Final = {b"US": "H", b"SS": "h", b"UL": "I", b"SL": "i", b"FL": "f", b"FD": "d"}
_BINARY: Final = frozenset((*_NUMBERS, *b"SQ UN OB OW OF OD OL OV AT UV SV".split()))


@dataclass(frozen=True, slots=True)
class Key:
    """An attribute that is asked for; `text`: what it is to match, "" where that is nothing, or cannot be read."""

    vr: bytes
    text: str
    has_value: bool


def keys(data: bytes, encoding: Encoding) -> dict[int, Key]:
    """By tag, without lengths of groups. Raises Malformed."""
    found: dict[int, Key] = {}
    charset = CharacterSet()
    for one in walk(data, 0, len(data), encoding):
        if not one.tag & 0xFFFF:
            continue
        if len(found) == MOST_KEYS:
            raise Malformed(f"a query asks for more than {MOST_KEYS} attributes")
        vr = one.vr if one.vr not in (b"", b"UN") else vr_of(one.tag) or b"UN"
        value = data[one.value : one.value + one.length]
        if one.tag == CHARACTER_SET:
            charset = CharacterSet(value)
        text = _read(vr, value, charset)
        found[one.tag] = Key(vr, text, bool(text) or (vr in _BINARY and bool(value)))
    return found


def _read(vr: bytes, value: bytes, charset: CharacterSet) -> str:
    """Of numbers what a decimal would be; "" of what is no text and no number."""
    if vr not in _BINARY:
        return charset.text(value, NAME_PARTS if vr == b"PN" else TEXT_PARTS)
    unit = _NUMBERS.get(vr)
    if unit is None or len(value) % struct.calcsize("<" + unit):
        return ""
    return "\\".join(_text(vr, one) for (one,) in struct.iter_unpack("<" + unit, value))


def answer(said: Mapping[int, tuple[bytes, Sequence[Any]]], encoding: Encoding) -> bytes:
    """What is said: by tag its VR and values, as they are indexed."""
    values = {tag: (vr, _value(vr, of)) for tag, (vr, of) in said.items()}
    if any(not value.isascii() for vr, value in values.values() if vr not in _BINARY):
        values[CHARACTER_SET] = (b"CS", _UNICODE)
    return b"".join(element(tag, vr, value, encoding) for tag, (vr, value) in sorted(values.items()))


def _value(vr: bytes, of: Sequence[Any]) -> bytes:
    if vr in _NUMBERS:
        unit = _NUMBERS[vr]
        try:
            return b"".join(struct.pack("<" + unit, one if unit in "fd" else int(one)) for one in of)
        except (ValueError, OverflowError, struct.error):
            return b""
    if vr in _BINARY:
        return b""
    return "\\".join(_text(vr, one) for one in of).encode("utf-8", "replace")


def _text(vr: bytes, value: Any) -> str:
    if not isinstance(value, int | float):
        return str(value)
    if float(value).is_integer() and (vr != b"DS" or len(str(int(value))) <= _LONGEST_DECIMAL):
        return str(int(value))
    told = repr(float(value))
    return told if len(told) <= _LONGEST_DECIMAL else f"{value:.9g}"


def failed_instances(uids: Iterable[str], encoding: Encoding) -> bytes:
    return element(FAILED_INSTANCES, b"UI", "\\".join(uids).encode(), encoding)


class Referenced(NamedTuple):
    """An instance that is to be committed, or is, or why not (PS3.3 §C.14)."""

    sop_class: str
    instance: str


def asked_to_commit(data: bytes, encoding: Encoding, most: int) -> tuple[str, list[Referenced]]:
    """The transaction and the instances of a request for storage commitment. Raises Malformed."""
    transaction, found = "", list[Referenced]()
    for one in walk(data, 0, len(data), encoding):
        if one.tag == _TRANSACTION:
            transaction = _uid(data, one.value, one.length)
        if one.tag != _REFERENCED:
            continue
        for each in items(data, one, encoding):
            if len(found) == most:
                raise Malformed(f"more than {most} instances are to be committed at once")
            said = {
                inner.tag: _uid(data, inner.value, inner.length)
                for inner in walk(data, each.start, each.end, each.encoding, last=_INSTANCE)
            }
            found.append(Referenced(said.get(_CLASS, ""), said.get(_INSTANCE, "")))
    return transaction, found


def committed(
    transaction: str, held: Iterable[Referenced], failed: Iterable[tuple[Referenced, int]], encoding: Encoding
) -> bytes:
    """What a request for storage commitment has come to (PS3.4 §J.3.3): `failed` with a reason each."""
    body = element(_TRANSACTION, b"UI", transaction.encode(), encoding)
    not_held = b"".join(
        item([*_of(one), (_REASON, b"US", reason.to_bytes(2, "little"))], encoding) for one, reason in failed
    )
    if not_held:
        body += element(_FAILED, b"SQ", not_held, encoding)
    all_held = b"".join(item(_of(one), encoding) for one in held)
    return body + element(_REFERENCED, b"SQ", all_held, encoding) if all_held else body


def _of(one: Referenced) -> list[tuple[int, bytes, bytes]]:
    return [(_CLASS, b"UI", one.sop_class.encode()), (_INSTANCE, b"UI", one.instance.encode())]


def _uid(data: bytes, at: int, length: int) -> str:
    return data[at : at + min(length, 64)].decode("ascii", "replace").strip("\0 ")
