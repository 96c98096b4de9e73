"""Data sets in the DICOM JSON Model (PS3.18 Annex F), of what a file has before and after its pixels.

Whatever is in a file, this is JSON: numbers that JSON has none of are strings (F.2.3), a value that is none of its VR
is left out, and so is what comes behind an element that cannot be read.
"""

import struct
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any, Final

import orjson

from mdm_async.dicom.byte_order import swapped, word_of
from mdm_async.dicom.character_sets import NAME_PARTS, TEXT_PARTS, CharacterSet
from mdm_async.dicom.elements import UNDEFINED, Encoding
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.implied_vrs import implied_vr, is_signed
from mdm_async.dicom.items import HEADER, ITEM, ITEM_END, SEQUENCE_END
from mdm_async.dicom.values.lexical import BYTES_OF_ONE, is_legal
from mdm_async.dicom.walking import Element, opened, skip_undefined, walk
from mdm_async.errors import Malformed, TooLarge

Model = dict[str, Any]
Path = tuple[int, ...]
"""Of an element: its tag, or those of the sequences that it is in, each with the number of an item, and its tag."""

INLINE: Final = 1024
"""Bytes that stand in the model; longer ones are fetched by themselves, as `bulk` says."""
_NUMBERS_INLINE: Final = 1 << 16
DEEPEST: Final = 32
"""Sequences in sequences; what is deeper is left out."""
MOST_ELEMENTS: Final = 1_000_000
"""Elements, items and values of texts, of one image: up to half a minute of work."""
MOST_TOLD: Final = 32 << 20
"""Bytes of JSON of one image."""
_EXACT: Final = 1 << 53
"""Whole numbers below it are the same to every reader of JSON."""
_DIGITS: Final = 15
_ZEROS: Final = bytes(8)

_CHARACTER_SET, _PADDING = 0x00080005, 0xFFFCFFFC
_TEXTS: Final = frozenset(b"AE AS CS DA DT LO SH TM UC UI".split())
_ONE_TEXT: Final = frozenset(b"LT ST UR UT".split())
_NUMBERS: Final = {
    b"US": "H", b"SS": "h", b"UL": "L", b"SL": "l", b"UV": "Q", b"SV": "q", b"FL": "f", b"FD": "d",
}  # fmt: skip
_BYTES: Final = frozenset(b"OB OD OF OL OV OW UN".split())


@dataclass(slots=True)
class _Bounds:
    """What may still be told."""

    elements: int = MOST_ELEMENTS
    size: int = MOST_TOLD

    def take(self, elements: int, size: int) -> None:
        """Raises TooLarge."""
        self.elements -= elements
        self.size -= size
        if self.elements < 0 or self.size < 0:
            raise TooLarge("an image says too much to be told as JSON", remedy="retrieve the instance")


@dataclass(frozen=True, slots=True)
class _Writer:
    """Goes once over the bytes, however values of undefined length lie in each other: where such a one ends shows when
    it has been told."""

    data: bytes
    signed: bool
    bulk: Callable[[Path], str]
    bounds: _Bounds

    def data_set(
        self,
        at: int,
        end: int,
        encoding: Encoding,
        charset: CharacterSet,
        above: Path,
        *,
        delimited: bool = False,
    ) -> tuple[dict[int, bytes], int]:
        """Members of a JSON object, by tag, and where the data set ends: at `end`, or behind its delimiter."""
        found: dict[int, bytes] = {}
        try:
            while at < end and not (delimited and encoding.items.is_at(self.data, at)):
                if not delimited and self.data[at : at + 8] == _ZEROS[: end - at]:
                    break  # with which some writers fill up their files
                element = opened(self.data, at, end, encoding)
                if element.tag == _CHARACTER_SET:
                    charset = CharacterSet(self.data[element.value : element.end])
                    told, at = _told({"vr": "CS", "Value": ["ISO_IR 192"]}), element.end
                else:
                    told, at = self._element(element, end, encoding, charset, (*above, element.tag))
                self.bounds.take(1, len(told))
                if element.tag & 0xFFFF and element.tag != _PADDING and element.tag >> 16 != 2:
                    found[element.tag] = b'"%08X":%b' % (element.tag, told)
            if delimited:
                tag, at, _ = encoding.items.header(self.data, at, end)
                if tag != ITEM_END:
                    raise Malformed(f"no delimiter of an item at byte {at}")
        except Malformed:
            if delimited:
                raise
            at = end
        return found, at

    def _element(
        self, element: Element, end: int, encoding: Encoding, charset: CharacterSet, path: Path
    ) -> tuple[bytes, int]:
        """Its JSON, and where it ends."""
        vr = implied_vr(element, signed=self.signed)
        if vr == b"SQ" and element.length and len(path) <= 2 * DEEPEST:
            items, at = self._items(element, encoding, charset, path)
            return b'{"vr":"SQ","Value":[%b]}' % b",".join(items), at
        model: Model = {"vr": vr.decode()}
        if element.undefined:
            return _told(model), skip_undefined(
                self.data, element.tag, element.vr, element.value, end, encoding
            )
        if element.length and vr != b"SQ":
            self._add_value(model, vr, element, encoding, charset, path)
        return _told(model), element.end

    def _add_value(
        self, model: Model, vr: bytes, element: Element, encoding: Encoding, charset: CharacterSet, path: Path
    ) -> None:
        if _is_bulk(vr, element.length):
            model["BulkDataURI"] = self.bulk(path)
            return
        value = self.data[element.value : element.end]
        if vr in _BYTES:
            model["InlineBinary"] = b64encode(_little(vr, value, encoding)).decode()
            return
        if vr not in _NUMBERS:
            self.bounds.take(value.count(b"\\"), 0)
        if values := _values(vr, value, encoding, charset):
            model["Value"] = values

    def _items(
        self, sequence: Element, encoding: Encoding, charset: CharacterSet, path: Path
    ) -> tuple[list[bytes], int]:
        """Those of a sequence, and where it ends."""
        encoding = encoding.inside(sequence.vr)
        told: list[bytes] = []
        at, end = sequence.value, sequence.end
        try:
            while at < end or sequence.undefined:
                tag, value, length = encoding.items.header(self.data, at, end)
                if tag == SEQUENCE_END and sequence.undefined:
                    return told, value
                undefined = length == UNDEFINED
                if tag != ITEM or (not undefined and length > end - value):
                    raise Malformed(f"no item of a sequence at byte {at}")
                self.bounds.take(1, 0)
                stop = end if undefined else value + length
                inner = encoding.of_item(self.data, value, stop)
                members, at = self.data_set(
                    value, stop, inner, charset, (*path, len(told)), delimited=undefined
                )
                told.append(_object(members))
        except Malformed:
            if sequence.undefined:
                raise
        return told, sequence.end


def _told(model: Model) -> bytes:
    return orjson.dumps(model)


def _object(members: dict[int, bytes]) -> bytes:
    return b"{%b}" % b",".join([members[tag] for tag in sorted(members)])


def json_of(head: bytes, tail: bytes, bulk: Callable[[Path], str], beside: Mapping[int, Model]) -> bytes:
    """All elements but file meta and pixels, and those `beside`. `bulk`: where long values are fetched.

    Raises NotDicom, Malformed for a head without a meta that can be read; TooLarge.
    """
    meta = read_meta(head)
    signed = is_signed(head, meta.end, meta.encoding)
    charset = _charset(head, meta.end, meta.encoding)
    bounds = _Bounds()
    members: dict[int, bytes] = {}
    for data, at in ((head, meta.end), (tail, 0)):
        writer = _Writer(data, signed, bulk, bounds)
        members |= writer.data_set(at, len(data), meta.encoding, charset, ())[0]
    members |= {tag: b'"%08X":%b' % (tag, _told(model)) for tag, model in beside.items()}
    return _object(members)


@dataclass(frozen=True, slots=True)
class Bulk:
    """A value by itself: the bytes start ≤ i < stop of head or tail."""

    in_tail: bool
    start: int
    stop: int
    word: int = 1
    """Bytes of its words, where those are big endian."""


def bulk_of(head: bytes, tail: bytes, path: Path) -> Bulk | None:
    """Where the value of an element lies, if `json_of` told to fetch it by itself."""
    meta = read_meta(head)
    signed = is_signed(head, meta.end, meta.encoding)
    for data, at in ((head, meta.end), (tail, 0)):
        found = _sought(data, at, len(data), meta.encoding, path)
        if found is not None:
            element, encoding = found
            vr = implied_vr(element, signed=signed)
            if element.undefined or not _is_bulk(vr, element.length):
                return None
            word = word_of(vr) if encoding.big_endian else 1
            return Bulk(data is tail, element.value, element.value + element.length, word)
    return None


def _sought(
    data: bytes, at: int, end: int, encoding: Encoding, path: Path
) -> tuple[Element, Encoding] | None:
    """Goes over what lies before it once, and into what it lies in."""
    try:
        while at < end and not encoding.items.is_at(data, at):
            element = opened(data, at, end, encoding)
            if element.tag == path[0]:
                return (element, encoding) if len(path) == 1 else _in_item(data, element, encoding, path)
            if element.tag > path[0]:
                return None
            at = _behind(data, element, end, encoding)
    except Malformed:
        pass
    return None


def _in_item(
    data: bytes, sequence: Element, encoding: Encoding, path: Path
) -> tuple[Element, Encoding] | None:
    encoding = encoding.inside(sequence.vr)
    at, end = sequence.value, sequence.end
    for place in range(path[1] + 1):
        tag, value, length = encoding.items.header(data, at, end)
        undefined = length == UNDEFINED
        if tag != ITEM or (not undefined and length > end - value):
            return None
        stop = end if undefined else value + length
        inner = encoding.of_item(data, value, stop)
        if place == path[1]:
            return _sought(data, value, stop, inner, path[2:])
        at = stop
        if undefined:
            at = value
            while not inner.items.is_at(data, at):
                at = _behind(data, opened(data, at, end, inner), end, inner)
            at += HEADER
    return None


def _behind(data: bytes, element: Element, end: int, encoding: Encoding) -> int:
    if not element.undefined:
        return element.end
    return skip_undefined(data, element.tag, element.vr, element.value, end, encoding)


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


def _little(vr: bytes, value: bytes, encoding: Encoding) -> bytes:
    return swapped(value, word_of(vr)) if encoding.big_endian else value


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
