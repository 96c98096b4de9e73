"""What lies before and after native pixels, from implicit to explicit VR and back, little endian (PS3.5 §A.1, §A.2).

The values stay as they are, those of pixels where they are; big endian ones become little endian. Icons that are
compressed are left out: they are optional, and native pixels may stand in no file with fragments (PS3.5 §A.4).
"""

from collections.abc import Iterator
from typing import Final

from mdm_async.dicom import encode
from mdm_async.dicom.byte_order import swapped, word_of
from mdm_async.dicom.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE, Encoding
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.implied_vrs import implied_vr, is_signed
from mdm_async.dicom.items import ITEM
from mdm_async.dicom.quirks import EXPLICIT_SYNTAX, IMPLICIT_SYNTAX
from mdm_async.dicom.walking import Element, items, walk
from mdm_async.errors import Malformed

_META, _LENGTH, _SYNTAX = 132, 0x00020000, 0x00020010
_ICONS: Final = 0x00880200
_DEEPEST: Final = 64
_PIXEL_VRS: Final = {0x7FE00008: b"OF", 0x7FE00009: b"OD", 0x7FE00010: b"OW"}


class _Fragments(Malformed):
    pass


def in_explicit(head: bytes, tail: bytes) -> tuple[bytes, bytes]:
    """The same in explicit VR; lengths of groups are left out. Raises Malformed."""
    return _written(head, tail, EXPLICIT_LITTLE)


def in_implicit(head: bytes, tail: bytes) -> tuple[bytes, bytes]:
    """The same without VRs; as `in_explicit`."""
    return _written(head, tail, IMPLICIT_LITTLE)


def pixel_header(tag: int, length: int, to: Encoding) -> bytes:
    """The header of native pixels."""
    empty = encode.element(tag, _PIXEL_VRS[tag], b"", to)
    return empty[:-4] + to.u32.pack(length)


def _written(head: bytes, tail: bytes, to: Encoding) -> tuple[bytes, bytes]:
    meta = read_meta(head)
    if head[_META - 4 : _META] != b"DICM":
        raise Malformed("there is no file meta information")
    signed = is_signed(head, meta.end, meta.encoding)
    body = b"".join(_data_set(head, meta.end, len(head), meta.encoding, to, signed, 0))
    after = b"".join(_data_set(tail, 0, len(tail), meta.encoding, to, signed, 0))
    syntax = EXPLICIT_SYNTAX if to.explicit else IMPLICIT_SYNTAX
    return head[:_META] + _meta(head, meta.end, syntax.encode()) + body, after


def _meta(head: bytes, end: int, syntax: bytes) -> bytes:
    body = b"".join(
        encode.element(
            one.tag,
            one.vr,
            syntax if one.tag == _SYNTAX else head[one.value : one.end],
            EXPLICIT_LITTLE,
        )
        for one in walk(head, _META, end, EXPLICIT_LITTLE)
        if one.tag != _LENGTH
    )
    return encode.element(_LENGTH, b"UL", len(body).to_bytes(4, "little"), EXPLICIT_LITTLE) + body


def _data_set(
    data: bytes, at: int, end: int, encoding: Encoding, to: Encoding, signed: bool, depth: int
) -> Iterator[bytes]:
    if depth > _DEEPEST:
        raise Malformed(f"sequences are nested deeper than {_DEEPEST} levels")
    for element in walk(data, at, end, encoding):
        if not element.tag & 0xFFFF:
            continue
        vr = implied_vr(element, signed=signed)
        value = data[element.value : element.value + element.length]
        if vr == b"SQ":
            try:
                value = b"".join(_items(data, element, encoding, to, signed, depth + 1))
            except _Fragments:
                if element.tag != _ICONS:
                    raise
                continue
        elif element.undefined:
            raise _Fragments(f"fragments at byte {element.start}, where pixels are native")
        elif encoding.big_endian:
            value = swapped(value, word_of(vr))
        yield encode.element(element.tag, vr, value, to)


def _items(
    data: bytes, sequence: Element, encoding: Encoding, to: Encoding, signed: bool, depth: int
) -> Iterator[bytes]:
    for item in items(data, sequence, encoding):
        body = b"".join(_data_set(data, item.start, item.end, item.encoding, to, signed, depth))
        yield to.items.encoded(ITEM, len(body)) + body
