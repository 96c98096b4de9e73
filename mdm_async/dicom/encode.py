"""Write elements: the few that scrubbing makes anew."""

from typing import Final

from mdm_async.dicom.elements import EXPLICIT_LITTLE, LONG_VRS, Encoding
from mdm_async.dicom.items import ITEM

IMPLEMENTATION_CLASS: Final = b"2.25.190727123413518690211996673433710474661"
IMPLEMENTATION_VERSION: Final = b"MDM_ASYNC"

_NUL_PADDED: Final = frozenset(b"UI OB UN".split())


def element(tag: int, vr: bytes, value: bytes, encoding: Encoding) -> bytes:
    """One element with a value of known length, padded to even length as its VR asks (PS3.5 §6.2)."""
    if len(value) & 1:
        value += b"\0" if vr in _NUL_PADDED else b" "
    group, number = tag >> 16, tag & 0xFFFF
    if not encoding.explicit:
        return encoding.tag_and_length.pack(group, number, len(value)) + value
    if vr not in LONG_VRS and len(value) > 0xFFFE:
        vr = b"UN"  # PS3.5 §6.2.2: too long for a VR with a two-byte length
    start = encoding.u16.pack(group) + encoding.u16.pack(number) + vr
    if vr in LONG_VRS:
        return start + b"\0\0" + encoding.u32.pack(len(value)) + value
    return start + encoding.u16.pack(len(value)) + value


def item(elements: list[tuple[int, bytes, bytes]], encoding: Encoding) -> bytes:
    """One item of a sequence; `elements` are (tag, VR, value) in ascending order."""
    body = b"".join(element(tag, vr, value, encoding) for tag, vr, value in elements)
    return encoding.items.encoded(ITEM, len(body)) + body


def code(value: bytes, scheme: bytes, meaning: bytes, encoding: Encoding) -> bytes:
    """One item of a code sequence (PS3.3 §8.8)."""
    return item(
        [(0x00080100, b"SH", value), (0x00080102, b"SH", scheme), (0x00080104, b"LO", meaning)], encoding
    )


def preamble_and_meta(sop_class: bytes, sop_instance: bytes, transfer_syntax: bytes) -> bytes:
    """A preamble of zeros and the file meta information (PS3.10 §7.1), with what is required and nothing else."""
    body = b"".join(
        element(tag, vr, value, EXPLICIT_LITTLE)
        for tag, vr, value in (
            (0x00020001, b"OB", b"\0\1"),
            (0x00020002, b"UI", sop_class),
            (0x00020003, b"UI", sop_instance),
            (0x00020010, b"UI", transfer_syntax),
            (0x00020012, b"UI", IMPLEMENTATION_CLASS),
            (0x00020013, b"SH", IMPLEMENTATION_VERSION),
        )
    )
    length = element(0x00020000, b"UL", len(body).to_bytes(4, "little"), EXPLICIT_LITTLE)
    return bytes(128) + b"DICM" + length + body
