"""Dummy values: legal for their VR (PS3.5 §6.2), in ASCII whatever the character set, and saying nothing."""

from collections.abc import Callable
from typing import Final

from mdm_async.dicom import encode
from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.scrubbing.srgb import srgb_profile
from mdm_async.dicom.values.terms import is_term
from mdm_async.dicom.walking import walk
from mdm_async.errors import Malformed

_DUMMIES: Final = {
    b"AS": b"000Y",
    b"DA": b"19000101",
    b"DT": b"19000101000000",
    b"TM": b"000000",
    b"DS": b"0",
    b"IS": b"0",
    b"PN": b"Removed^",
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
DUMMY_TEXT: Final = b"REMOVED"

_CODE_SEQUENCES: Final = frozenset({0x00080082, 0x00401101})
"""Institution Code Sequence, Person Identification Code Sequence: the coded ones with action D."""

_PERFORMED_PROCEDURE_STEP: Final = b"1.2.840.10008.3.1.2.3.3"
_STUDY: Final = b"1.2.840.10008.3.1.2.3.1"
_NO_INSTANCE: Final = b"2.25.0"
_ICC_PROFILE: Final = 0x00282000
_GRAPHIC_ANNOTATION, _GRAPHIC_LAYER = 0x00700001, 0x00700002
_ONE: Final = 0x3F800000
"""1.0 in single precision."""


def dummy(tag: int, vr: bytes, encoding: Encoding, old: bytes = b"") -> bytes:
    """A value of non-zero length for this VR, unpadded, in place of the `old` one.

    A sequence gets one item: with the attributes that PS3.3 wants in it where the table has that sequence as D and IODs
    use it, an empty one elsewhere.
    """
    if tag == _ICC_PROFILE and vr == b"OB":
        return srgb_profile()
    if vr != b"SQ":
        return _DUMMIES.get(vr, DUMMY_TEXT)
    if tag in _CODE_SEQUENCES:
        return encode.code(DUMMY_TEXT, b"99MDM", b"Removed", encoding)
    if tag == _GRAPHIC_ANNOTATION:
        return encode.item(_graphic_annotation(encoding, old), encoding)
    return encode.item(_ITEMS[tag](encoding) if tag in _ITEMS else [], encoding)


_Elements = list[tuple[int, bytes, bytes]]


def _operator(encoding: Encoding) -> _Elements:
    """PS3.3 §10.1."""
    return [(0x00401101, b"SQ", encode.code(DUMMY_TEXT, b"99MDM", b"Removed", encoding))]


def _study(_: Encoding) -> _Elements:
    """A reference to no instance (PS3.3 §10.8)."""
    return [(0x00081150, b"UI", _STUDY), (0x00081155, b"UI", _NO_INSTANCE)]


def _procedure_step(_: Encoding) -> _Elements:
    """A reference to no instance (PS3.3 §10.8)."""
    return [(0x00081150, b"UI", _PERFORMED_PROCEDURE_STEP), (0x00081155, b"UI", _NO_INSTANCE)]


def _verifying_observer(_: Encoding) -> _Elements:
    """PS3.3 §C.17.2; who it was is of type 2, and empty."""
    return [
        (0x0040A027, b"LO", DUMMY_TEXT),
        (0x0040A030, b"DT", _DUMMIES[b"DT"]),
        (0x0040A075, b"PN", _DUMMIES[b"PN"]),
        (0x0040A088, b"SQ", b""),
    ]


def _text_content(encoding: Encoding) -> _Elements:
    """One TEXT content item that a container may hold (PS3.3 §C.17.3)."""
    return [
        (0x0040A010, b"CS", b"CONTAINS"),
        (0x0040A040, b"CS", b"TEXT"),
        (0x0040A043, b"SQ", encode.code(b"121106", b"DCM", b"Comment", encoding)),
        (0x0040A160, b"UT", DUMMY_TEXT),
    ]


def _waveform_annotation(encoding: Encoding) -> _Elements:
    """A text about all channels of the first multiplex group (PS3.3 §C.10.10)."""
    return [
        (0x0040A0B0, b"US", encoding.u16.pack(1) + encoding.u16.pack(0)),
        (0x00700006, b"ST", DUMMY_TEXT),
    ]


def _flow(_: Encoding) -> _Elements:
    """PS3.3 §C.35.1."""
    return [(0x00340002, b"OB", _DUMMIES[b"OB"])]


def _graphic_annotation(encoding: Encoding, old: bytes) -> _Elements:
    """A point in the corner, on a layer that the presentation state has (PS3.3 §C.10.5)."""
    u16, place = encoding.u16.pack, encoding.u32.pack(_ONE) * 2
    point = [
        (0x00700005, b"CS", b"PIXEL"),
        (0x00700020, b"US", u16(2)),
        (0x00700021, b"US", u16(1)),
        (0x00700022, b"FL", place),
        (0x00700023, b"CS", b"POINT"),
    ]
    return [
        (_GRAPHIC_LAYER, b"CS", _layer(old, encoding)),
        (0x00700009, b"SQ", encode.item(point, encoding)),
    ]


def _layer(annotations: bytes, encoding: Encoding) -> bytes:
    """The layer of the first annotation, as it is named in what is kept."""
    try:
        _, first, _ = encoding.items.header(annotations, 0, len(annotations))
        for element in walk(annotations, first, len(annotations), encoding):
            layer = annotations[element.value : element.end].strip(b"\0 ")
            if element.tag == _GRAPHIC_LAYER and layer and is_term(_GRAPHIC_LAYER, layer):
                return layer
            if element.tag >= _GRAPHIC_LAYER:
                break
    except Malformed:
        pass  # such a sequence is refused where it is gone into
    return DUMMY_TEXT


_ITEMS: Final[dict[int, Callable[[Encoding], _Elements]]] = {
    0x00340001: _flow,
    0x00081072: _operator,
    0x00081110: _study,
    0x00081111: _procedure_step,
    0x0040A073: _verifying_observer,
    0x0040A730: _text_content,
    0x0040B020: _waveform_annotation,
}
