"""What a file says of itself, to be searched: the values of the attributes that are indexed."""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Final

from mdm_async.dicom.character_sets import NAME_PARTS, TEXT_PARTS, CharacterSet
from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import BLANK_VRS, Encoding
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.indexed import Indexed, Kind, Level, indexed
from mdm_async.dicom.values.lexical import is_legal
from mdm_async.dicom.walking import walk

Value = str | int | float
Values = Mapping[str, list[Value]]
"""By keyword. An attribute without a value is not there."""

LONGEST: Final = 4096
"""Bytes that all values of an attribute may have in the file; a longer one is not indexed."""
MOST_VALUES: Final = 64
"""An attribute with more is not indexed."""
LONGEST_TEXT: Final = 1024
"""Bytes of UTF-8 that a value may have; an attribute with a longer one is not indexed."""

_TRANSFER_SYNTAX, _CHARACTER_SET = 0x00020010, 0x00080005
_TEXTS: Final = frozenset(b"AE AS CS LO SH UC".split())
_VRS: Final = {
    Kind.TEXT: _TEXTS,
    Kind.NAME: frozenset((b"PN",)),
    Kind.DATE: frozenset((b"DA",)),
    Kind.TIME: frozenset((b"TM",)),
    Kind.UID: frozenset((b"UI",)),
}
_IN_BYTES: Final = {b"US": "H", b"SS": "h", b"UL": "L", b"SL": "l", b"FL": "f", b"FD": "d"}
_IN_WORDS: Final[Mapping[bytes, Callable[[str], int | float]]] = {b"DS": float, b"IS": int}


@dataclass(frozen=True, slots=True)
class Attributes:
    """Of one file, by what they are kept with."""

    patient: Values = field(default_factory=dict)
    study: Values = field(default_factory=dict)
    series: Values = field(default_factory=dict)
    instance: Values = field(default_factory=dict)

    def all(self) -> dict[str, list[Value]]:
        return {**self.patient, **self.study, **self.series, **self.instance}


def attributes_of(head: bytes) -> Attributes:
    """What is indexed of a file, from all that lies before its pixels. Raises Malformed.

    The values are those of the outermost data set, without padding, in their order; empty ones are left out. An
    attribute whose value is no legal one of its kind, or is too long or too many, is not there: it is not cut.
    """
    meta = read_meta(head)
    table = indexed()
    last = max(table)
    found: dict[Level, dict[str, list[Value]]] = {level: {} for level in Level}
    _keep(found, table[_TRANSFER_SYNTAX], [meta.transfer_syntax])
    charset = CharacterSet()
    for element in walk(head, meta.end, len(head), meta.encoding, last=last):
        row = table.get(element.tag)
        if element.length > LONGEST or element.undefined:
            continue
        if row is not None:
            vr = element.vr if element.vr and element.vr not in BLANK_VRS and element.vr != b"UN" else None
            value = head[element.value : element.value + element.length]
            _keep(found, row, _values(row, vr or vr_of(row.tag) or b"UN", value, meta.encoding, charset))
        elif element.tag == _CHARACTER_SET:
            charset = CharacterSet(head[element.value : element.value + element.length])
    return Attributes(*(found[level] for level in Level))


def _keep(found: Mapping[Level, dict[str, list[Value]]], row: Indexed, values: list[Value]) -> None:
    if values and len(values) <= MOST_VALUES:
        found[row.level][row.keyword] = values


def _values(row: Indexed, vr: bytes, value: bytes, encoding: Encoding, charset: CharacterSet) -> list[Value]:
    if row.kind is Kind.NUMBER:
        return _numbers(vr, value, encoding)
    if vr not in _VRS[row.kind]:
        return []
    text = charset.text(value, NAME_PARTS if row.kind is Kind.NAME else TEXT_PARTS)
    # Groups of a name that are empty at its end may as well be left out (PS3.5 §6.2.1).
    padding = "\0 =" if row.kind is Kind.NAME else "\0 "
    found = [one for each in text.split("\\") if (one := each.lstrip("\0 ").rstrip(padding))]
    return list(found) if all(map(_fits, found)) else []


def _fits(text: str) -> bool:
    """Whether a database can keep it."""
    if len(text) > LONGEST_TEXT or "\0" in text:
        return False
    try:
        return text.isascii() or len(text.encode()) <= LONGEST_TEXT
    except UnicodeEncodeError:  # half a pair of surrogates, of an odd character set
        return False


def _numbers(vr: bytes, value: bytes, encoding: Encoding) -> list[Value]:
    if (read := _IN_WORDS.get(vr)) is not None:
        if not is_legal(vr, value):
            return []
        texts = value.decode("ascii").rstrip("\0 ").split("\\")
        found = [read(one) for one in texts if one and not one.isspace()]
    elif (unit := _IN_BYTES.get(vr)) is not None:
        size = struct.calcsize(f"={unit}")
        if len(value) % size:
            return []
        order = ">" if encoding.big_endian else "<"
        found = list(struct.unpack(f"{order}{len(value) // size}{unit}", value))
    else:
        return []
    return list(found) if all(map(isfinite, found)) else []
