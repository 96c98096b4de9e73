"""What two files of one SOP Instance UID are compared by: digests of their content, and of their whole data sets.

The content is the pixels' value; without pixels, all that is neither of the patient nor of the order: a report whose
patient was corrected says the same. The data set is all but preamble and file meta information, so that the same in
implicit and explicit VR is the same (PS3.5 §A.1, §A.2): VRs, lengths of groups and sequences, and trailing padding
(PS3.10 §7.2) do not count. Private sequences that do not say that they are any differ between the two.
"""

import hashlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.elements import DEFLATED, Encoding
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.implied_vrs import implied_vr
from mdm_async.dicom.items import ITEM
from mdm_async.dicom.walking import Element, items, walk
from mdm_async.errors import Malformed

_NATIVE: Final = frozenset({"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", DEFLATED})
"""Their pixels are written alike."""
_PADDING: Final = 0xFFFCFFFC
_OF_WHOM: Final = frozenset({0x0008, 0x0010, 0x0032})
"""Groups: of the instance's making, of the patient, of the order."""
_DEEPEST: Final = 64
_MOST: Final = 4 << 20
"""Bytes beside the pixels; more are compared as they are written."""
_ROW: Final = struct.Struct("<II")
_Row = tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Sameness:
    """SHA-256 each, in hexadecimal digits. `content`: None where nothing shows that it is the same."""

    content: str | None
    data_set: str


def sameness(head: bytes, tail: bytes, pixels: str | None) -> Sameness:
    """Of a file with these bytes before and after its pixels. `pixels`: the SHA-256 of their value; None: it has none.

    Raises NotDicom, Malformed. Walks all of them: not for the event loop.
    """
    meta = read_meta(head)
    syntax = "native" if meta.transfer_syntax in _NATIVE else meta.transfer_syntax
    whole, rest = hashlib.sha256(f"{syntax} {pixels} ".encode()), hashlib.sha256()
    is_told = False
    try:
        rows = list(_rows(head, tail, meta.end, meta.encoding))
        whole.update(b"".join([told for _, told in rows]))
        if pixels is None:
            counts = [told for tag, told in rows if tag >> 16 not in _OF_WHOM]
            rest.update(b"".join(counts))
            is_told = bool(counts)
    except Malformed:
        whole.update(b"as written")
        whole.update(memoryview(head)[meta.end :])
        whole.update(tail)
    return Sameness(pixels or (rest.hexdigest() if is_told else None), whole.hexdigest())


def _rows(head: bytes, tail: bytes, at: int, encoding: Encoding) -> Iterator[_Row]:
    """Each top-level element in a form that no encoding changes. Raises Malformed."""
    if encoding.big_endian or len(head) + len(tail) > _MOST:
        raise Malformed("it is not compared element by element")
    yield from _data_set(head, at, len(head), encoding, 0)
    yield from _data_set(tail, 0, len(tail), encoding, 0)


def _data_set(data: bytes, at: int, end: int, encoding: Encoding, depth: int) -> Iterator[_Row]:
    if depth > _DEEPEST:
        raise Malformed(f"sequences are nested deeper than {_DEEPEST} levels")
    for element in walk(data, at, end, encoding):
        if not element.tag & 0xFFFF or element.tag == _PADDING:
            continue
        if implied_vr(element, signed=False) == b"SQ":
            told = b"".join(_items(data, element, encoding, depth + 1))
        elif element.undefined:
            raise Malformed(f"fragments at byte {element.start}, where pixels are native")
        else:
            told = data[element.value : element.value + element.length]
        yield element.tag, _ROW.pack(element.tag, len(told)) + told


def _items(data: bytes, sequence: Element, encoding: Encoding, depth: int) -> Iterator[bytes]:
    for item in items(data, sequence, encoding):
        rows = _data_set(data, item.start, item.end, item.encoding, depth)
        told = b"".join([told for _, told in rows])
        yield _ROW.pack(ITEM, len(told)) + told
