"""Data sets in the DICOM JSON Model (PS3.18 Annex F), of what a file has before and after its pixels.

Whatever is in a file, this is JSON: numbers that JSON has none of are strings (F.2.3), a value that is none of its VR
is left out, and so is what comes behind an element that cannot be read.
"""

import struct
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any, Final

from mdm_async.dicom.character_sets import NAME_PARTS, TEXT_PARTS, CharacterSet
from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.implied_vrs import implied_vr, is_signed
from mdm_async.dicom.values.lexical import BYTES_OF_ONE, is_legal
from mdm_async.dicom.walking import Element, items, walk
from mdm_async.errors import Malformed

Model = dict[str, Any]
Path = tuple[int, ...]
"""Of an element: its tag, or those of the sequences that it is in, each with the number of an item, and its tag."""

INLINE: Final = 1024
"""Bytes that stand in the model; longer ones are fetched by themselves, as `bulk` says."""
_NUMBERS_INLINE: Final = 1 << 16
DEEPEST: Final = 32
"""Sequences in sequences; what is deeper is left out."""
_EXACT: Final = 1 << 53
"""Whole numbers below it are the same to every reader of JSON."""
_DIGITS: Final = 15

_CHARACTER_SET, _PADDING = 0x00080005, 0xFFFCFFFC
_TEXTS: Final = frozenset(b"AE AS CS DA DT LO SH TM UC UI".split())
_ONE_TEXT: Final = frozenset(b"LT ST UR UT".split())
_NUMBERS: Final = {
    b"US": "H", b"SS": "h", b"UL": "L", b"SL": "l", b"UV": "Q", b"SV": "q", b"FL": "f", b"FD": "d",
}  # fmt: skip
_BYTES: Final = frozenset(b"OB OD OF OL OV OW UN".split())


@dataclass(frozen=True, slots=True)
class _Reader:
    bulk: Callable[[Path], str]
    signed: bool

    def data_set(
        self, data: bytes, at: int, end: int, encoding: Encoding, charset: CharacterSet, above: Path
    ) -> Model:
        found: Model = {}
        try:
            for element in walk(data, at, end, encoding):
                if element.tag == _CHARACTER_SET:
                    charset = CharacterSet(data[element.value : element.end])
                    found["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
                elif element.tag & 0xFFFF and element.tag != _PADDING and element.tag >> 16 != 2:
                    found[f"{element.tag:08X}"] = self._element(data, element, encoding, charset, above)
        except Malformed:
            pass
        return found

    def _element(
        self, data: bytes, element: Element, encoding: Encoding, charset: CharacterSet, above: Path
    ) -> Model:
        vr = implied_vr(element, signed=self.signed)
        path = (*above, element.tag)
        if vr == b"SQ":
            told: Model = {"vr": "SQ"}
            if element.length and len(path) <= 2 * DEEPEST:
                told["Value"] = list(self._items(data, element, encoding, charset, path))
            return told
        model: Model = {"vr": vr.decode()}
        if not element.length:
            return model
        if element.undefined or _is_bulk(vr, element.length):
            if not element.undefined and _may_be_sent(vr, encoding):
                model["BulkDataURI"] = self.bulk(path)
            return model
        value = data[element.value : element.value + element.length]
        if vr in _BYTES:
            model["InlineBinary"] = b64encode(_little(vr, value, encoding)).decode()
        elif values := _values(vr, value, encoding, charset):
            model["Value"] = values
        return model

    def _items(
        self, data: bytes, sequence: Element, encoding: Encoding, charset: CharacterSet, path: Path
    ) -> Iterator[Model]:
        try:
            for place, item in enumerate(items(data, sequence, encoding)):
                yield self.data_set(data, item.start, item.end, item.encoding, charset, (*path, place))
        except Malformed:
            return


def model_of(head: bytes, tail: bytes, bulk: Callable[[Path], str]) -> Model:
    """All elements but file meta and pixels. `bulk`: where long values are fetched. Raises NotDicom, Malformed for a
    head without a meta that can be read."""
    meta = read_meta(head)
    reader = _Reader(bulk, is_signed(head, meta.end, meta.encoding))
    charset = _charset(head, meta.end, meta.encoding)
    found = reader.data_set(head, meta.end, len(head), meta.encoding, charset, ())
    found |= reader.data_set(tail, 0, len(tail), meta.encoding, charset, ())
    return found


@dataclass(frozen=True, slots=True)
class Bulk:
    """A value by itself: the bytes start ≤ i < stop of head or tail."""

    in_tail: bool
    start: int
    stop: int


def bulk_of(head: bytes, tail: bytes, path: Path) -> Bulk | None:
    """Where the value of an element lies, if `model_of` told to fetch it by itself."""
    meta = read_meta(head)
    signed = is_signed(head, meta.end, meta.encoding)
    for data, at in ((head, meta.end), (tail, 0)):
        found = _sought(data, at, len(data), meta.encoding, path)
        if found is not None:
            element, encoding = found
            vr = implied_vr(element, signed=signed)
            if element.undefined or not _is_bulk(vr, element.length) or not _may_be_sent(vr, encoding):
                return None
            return Bulk(data is tail, element.value, element.value + element.length)
    return None


def _sought(
    data: bytes, at: int, end: int, encoding: Encoding, path: Path
) -> tuple[Element, Encoding] | None:
    try:
        for element in walk(data, at, end, encoding, last=path[0]):
            if element.tag != path[0]:
                continue
            if len(path) == 1:
                return element, encoding
            for place, item in enumerate(items(data, element, encoding)):
                if place == path[1]:
                    return _sought(data, item.start, item.end, item.encoding, path[2:])
    except Malformed:
        pass
    return None


def number_told(value: float) -> int | float | str:
    """A number as JSON has it."""
    if isinstance(value, int):
        return value if abs(value) < _EXACT else str(value)
    if isfinite(value):
        return int(value) if value.is_integer() and abs(value) < _EXACT else value
    return "NaN" if isnan(value) else "inf" if value > 0 else "-inf"


def name_told(text: str) -> dict[str, str] | None:
    """A name by its groups (F.2.2)."""
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), text.split("="), strict=False)
    return {group: told for group, each in groups if (told := each.strip())} or None


def _charset(head: bytes, at: int, encoding: Encoding) -> CharacterSet:
    try:
        for element in walk(head, at, len(head), encoding, last=_CHARACTER_SET):
            if element.tag == _CHARACTER_SET:
                return CharacterSet(head[element.value : element.end])
    except Malformed:
        pass
    return CharacterSet()


def _is_bulk(vr: bytes, length: int) -> bool:
    return length > INLINE if vr in _BYTES else vr in _NUMBERS and length > _NUMBERS_INLINE


def _may_be_sent(vr: bytes, encoding: Encoding) -> bool:
    """Bulk is little endian (PS3.18 §8.7.8)."""
    return not encoding.big_endian or BYTES_OF_ONE.get(vr, 1) == 1


def _little(vr: bytes, value: bytes, encoding: Encoding) -> bytes:
    unit = BYTES_OF_ONE.get(vr, 1)
    if not encoding.big_endian or unit == 1 or len(value) % unit:
        return value
    swapped = bytearray(len(value))
    for place in range(unit):
        swapped[place::unit] = value[unit - 1 - place :: unit]
    return bytes(swapped)


def _values(vr: bytes, value: bytes, encoding: Encoding, charset: CharacterSet) -> list[Any]:
    if (unit := _NUMBERS.get(vr)) is not None:
        size = BYTES_OF_ONE[vr]
        if len(value) % size:
            return []
        order = ">" if encoding.big_endian else "<"
        numbers = struct.unpack(f"{order}{len(value) // size}{unit}", value)
        return [number_told(one) for one in numbers]
    if vr == b"AT":
        return _tags(value, encoding)
    if vr in (b"DS", b"IS"):
        return _decimals(vr, value)
    told: list[Any] = []
    if vr == b"PN":
        told = [name_told(_clean(one)) for one in charset.text(value, NAME_PARTS).split("\\")]
    elif vr in _ONE_TEXT:
        told = [_clean(charset.text(value)) or None]
    elif vr in _TEXTS:
        told = [_clean(one.strip("\0 ")) or None for one in charset.text(value, TEXT_PARTS).split("\\")]
    return told if any(one is not None for one in told) else []


def _clean(text: str) -> str:
    """Half a pair of surrogates, of an odd character set, is no text."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _tags(value: bytes, encoding: Encoding) -> list[str]:
    if len(value) % 4:
        return []
    words = struct.unpack(f"{'>' if encoding.big_endian else '<'}{len(value) // 2}H", value)
    return [f"{group:04X}{element:04X}" for group, element in zip(words[::2], words[1::2], strict=True)]


def _decimals(vr: bytes, value: bytes) -> list[Any]:
    """Numbers; as text what has more digits than all readers keep."""
    if not is_legal(vr, value):
        return []
    told: list[Any] = []
    for each in value.decode("ascii").rstrip("\0 ").split("\\"):
        text = each.strip()
        if not text:
            told.append(None)
        elif vr == b"IS":
            told.append(int(text))
        else:
            number = float(text)
            digits = sum(map(str.isdigit, text.lower().partition("e")[0].lstrip("+-0.")))
            told.append(number_told(number) if digits <= _DIGITS and isfinite(number) else text)
    return told if any(one is not None for one in told) else []


def searched(vr: str, values: list[Any]) -> Model:
    """An attribute of a search's answer: values as they are indexed."""
    model: Model = {"vr": vr}
    if vr == "PN":
        told: list[Any] = [name_told(str(one)) for one in values]
    else:
        told = [number_told(one) if isinstance(one, int | float) else one for one in values]
    if told:
        model["Value"] = told
    return model
