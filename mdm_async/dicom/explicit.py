"""What lies before and after native pixels, from implicit to explicit VR, little endian (PS3.5 §A.1, §A.2).

The values stay as they are, those of pixels where they are.
"""

from collections.abc import Iterator
from typing import Final

from mdm_async.dicom import encode
from mdm_async.dicom.elements import EXPLICIT_LITTLE, Encoding
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.implied_vrs import implied_vr, is_signed
from mdm_async.dicom.items import ITEM
from mdm_async.dicom.walking import Element, items, walk
from mdm_async.errors import Malformed

EXPLICIT_SYNTAX: Final = b"1.2.840.10008.1.2.1"
_META, _LENGTH, _SYNTAX = 132, 0x00020000, 0x00020010
_DEEPEST: Final = 64
_PIXEL_VRS: Final = {0x7FE00008: b"OF", 0x7FE00009: b"OD", 0x7FE00010: b"OW"}


def in_explicit(head: bytes, tail: bytes) -> tuple[bytes, bytes]:
    """The same in explicit VR; lengths of groups are left out. Raises Malformed."""
    meta = read_meta(head)
    if head[_META - 4 : _META] != b"DICM":
        raise Malformed("there is no file meta information")
    signed = is_signed(head, meta.end, meta.encoding)
    body = b"".join(_data_set(head, meta.end, len(head), meta.encoding, signed, 0))
    after = b"".join(_data_set(tail, 0, len(tail), meta.encoding, signed, 0))
    return head[:_META] + _meta(head, meta.end) + body, after


def pixel_header(tag: int, length: int) -> bytes:
    """The header of native pixels."""
    empty = encode.element(tag, _PIXEL_VRS[tag], b"", EXPLICIT_LITTLE)
    return empty[:-4] + EXPLICIT_LITTLE.u32.pack(length)


def _meta(head: bytes, end: int) -> bytes:
    body = b"".join(
        encode.element(
            one.tag,
            one.vr,
            EXPLICIT_SYNTAX if one.tag == _SYNTAX else head[one.value : one.end],
            EXPLICIT_LITTLE,
        )
        for one in walk(head, _META, end, EXPLICIT_LITTLE)
        if one.tag != _LENGTH
    )
    return encode.element(_LENGTH, b"UL", len(body).to_bytes(4, "little"), EXPLICIT_LITTLE) + body


def _data_set(
    data: bytes, at: int, end: int, encoding: Encoding, signed: bool, depth: int
) -> Iterator[bytes]:
    if depth > _DEEPEST:
        raise Malformed(f"sequences are nested deeper than {_DEEPEST} levels")
    for element in walk(data, at, end, encoding):
        if not element.tag & 0xFFFF:
            continue
        vr = implied_vr(element, signed=signed)
        value = data[element.value : element.value + element.length]
        if vr == b"SQ":
            value = b"".join(_items(data, element, encoding, signed, depth + 1))
        elif element.undefined:
            raise Malformed(f"fragments at byte {element.start}, where pixels are native")
        yield encode.element(element.tag, vr, value, EXPLICIT_LITTLE)


def _items(data: bytes, sequence: Element, encoding: Encoding, signed: bool, depth: int) -> Iterator[bytes]:
    for item in items(data, sequence, encoding):
        body = b"".join(_data_set(data, item.start, item.end, item.encoding, signed, depth))
        yield EXPLICIT_LITTLE.items.encoded(ITEM, len(body)) + body
