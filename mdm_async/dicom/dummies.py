"""Dummy values: legal for their VR (PS3.5 §6.2), in ASCII whatever the character set, and saying nothing."""

from typing import Final

from mdm_async.dicom import encode
from mdm_async.dicom.elements import Encoding

_DUMMIES: Final = {
    b"AS": b"000Y",
    b"DA": b"19000101",
    b"DT": b"19000101000000",
    b"TM": b"000000",
    b"DS": b"0",
    b"IS": b"0",
    b"UR": b"urn:removed",
    b"AT": bytes(4),
    b"FL": bytes(4),
    b"FD": bytes(8),
    b"SL": bytes(4),
    b"SS": bytes(2),
    b"SV": bytes(8),
    b"UL": bytes(4),
    b"US": bytes(2),
    b"UV": bytes(8),
    b"OB": bytes(2),
    b"OD": bytes(8),
    b"OF": bytes(4),
    b"OL": bytes(4),
    b"OV": bytes(8),
    b"OW": bytes(2),
    b"UN": bytes(2),
}
_TEXT: Final = b"REMOVED"

_CONTENT_SEQUENCE: Final = 0x0040A730
_CODE_SEQUENCES: Final = frozenset({0x00080082, 0x00401101})
"""Institution Code Sequence, Person Identification Code Sequence: the coded ones with action D."""


def dummy(tag: int, vr: bytes, encoding: Encoding) -> bytes:
    """A value of non-zero length for this VR, unpadded.

    A sequence gets one item: a dummy code where codes are due; one text content item for the Content Sequence of a
    structured report, which may not be without; an empty item elsewhere.
    """
    if vr != b"SQ":
        return _DUMMIES.get(vr, _TEXT)
    if tag in _CODE_SEQUENCES:
        return encode.code(_TEXT, b"99MDM", b"Removed", encoding)
    if tag == _CONTENT_SEQUENCE:
        return _text_content(encoding)
    return encode.item([], encoding)


def _text_content(encoding: Encoding) -> bytes:
    """One TEXT content item that a container may hold (PS3.3 §C.17.3)."""
    name = encode.code(b"121106", b"DCM", b"Comment", encoding)
    return encode.item(
        [
            (0x0040A010, b"CS", b"CONTAINS"),
            (0x0040A040, b"CS", b"TEXT"),
            (0x0040A043, b"SQ", name),
            (0x0040A160, b"UT", _TEXT),
        ],
        encoding,
    )
