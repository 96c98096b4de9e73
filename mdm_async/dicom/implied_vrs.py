"""Which VR an element has where it is not written, or leaves it open (PS3.5 §A.1)."""

from mdm_async.dicom.dictionary import vr_of, vrs_of
from mdm_async.dicom.elements import BLANK_VRS, Encoding
from mdm_async.dicom.walking import Element, holds_fragments, walk
from mdm_async.errors import Malformed

_SIGNED = 0x00280103


def implied_vr(element: Element, *, signed: bool) -> bytes:
    """`signed`: pixels are. UN for what the dictionary does not know; SQ for all that holds items."""
    vr = element.vr
    if vr not in (b"", b"UN") and vr not in BLANK_VRS:
        return vr
    if element.undefined and not holds_fragments(element.tag, vr, element.start):
        return b"SQ"
    if vr == b"UN":
        return vr
    allowed = vrs_of(element.tag)
    if b"OW" in allowed:
        return b"OW"
    if b"SS" in allowed and signed:
        return b"SS"
    return vr_of(element.tag) or b"UN"


def is_signed(head: bytes, at: int, encoding: Encoding) -> bool:
    """Whether the data set from `at` on says that its pixels are."""
    try:
        for element in walk(head, at, len(head), encoding, last=_SIGNED):
            if element.tag == _SIGNED and element.length == 2:
                return bool(encoding.u16.unpack_from(head, element.value)[0] == 1)
    except Malformed:
        pass
    return False
