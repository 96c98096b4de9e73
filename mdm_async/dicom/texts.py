"""The texts of a data set, at every depth: what is left in a view for somebody to read."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from mdm_async.dicom.character_sets import CharacterSet
from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.walking import holds_fragments, items, walk

_ONE_TEXT: Final = frozenset((b"LT", b"ST", b"UR", b"UT"))
"""Without values: a backslash is part of the text (PS3.5 §6.2)."""
_TEXTS: Final = _ONE_TEXT | {b"AE", b"AS", b"CS", b"LO", b"PN", b"SH", b"UC"}
_UNKNOWN: Final = b"UN"
_LONGEST_UNKNOWN: Final = 4096
"""Bytes of unknown VR that may be text; what is longer hardly is."""
_CHARACTER_SET: Final = 0x00080005


class Text(NamedTuple):
    """One value."""

    tag: int
    vr: str
    value: str


def texts_of(head: bytes, tail: bytes, without: frozenset[int]) -> Iterator[Text]:
    """Every text that is not empty, in what comes before the pixels and after them. Raises Malformed.

    `without`: attributes that are left out, with all that is in them.
    """
    meta = read_meta(head)
    character_set = CharacterSet()
    for element in walk(head, meta.end, len(head), meta.encoding):
        if element.tag == _CHARACTER_SET:
            character_set = CharacterSet(head[element.value : element.end])
        if element.tag >= _CHARACTER_SET:
            break
    yield from _texts(head, meta.end, len(head), meta.encoding, character_set, without)
    yield from _texts(tail, 0, len(tail), meta.encoding, character_set, without)


def _texts(
    data: bytes, at: int, end: int, encoding: Encoding, character_set: CharacterSet, without: frozenset[int]
) -> Iterator[Text]:
    for element in walk(data, at, end, encoding):
        if element.tag in without:
            continue
        vr = element.vr if element.vr not in (b"", _UNKNOWN) else vr_of(element.tag) or _UNKNOWN
        nested = element.undefined and not holds_fragments(element.tag, element.vr, element.start)
        if nested or vr == b"SQ":
            for item in items(data, element, encoding):
                yield from _texts(data, item.start, item.end, item.encoding, character_set, without)
            continue
        value = data[element.value : element.value + element.length]
        if element.tag == _CHARACTER_SET:
            character_set = CharacterSet(value)
        for text in _values(vr, value, character_set):
            yield Text(element.tag, vr.decode(), text)


def _values(vr: bytes, value: bytes, character_set: CharacterSet) -> list[str]:
    if vr == _UNKNOWN:
        text = character_set.text(value) if len(value) <= _LONGEST_UNKNOWN else ""
        return [text] if text and all(one.isprintable() or one.isspace() for one in text) else []
    if vr not in _TEXTS:
        return []
    text = character_set.text(value)
    found = [text] if vr in _ONE_TEXT else text.split("\\")
    return [one for each in found if (one := each.strip())]
