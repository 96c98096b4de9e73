"""Encoded pixels that hold more than a picture."""

import struct

from tests.canary_values import EXPLICIT, UNDEFINED


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">HH", marker, len(body) + 2) + body


JPEG_START = b"\xff\xd8"
JPEG_REST = (
    segment(0xFFDB, b"\0" + b"\1" * 64)
    + segment(0xFFC0, b"\x08\0\x08\0\x08\1\1\x11\0")
    + segment(0xFFC4, b"\0\1" + bytes(15) + b"\0")
    + segment(0xFFC4, b"\x10\1" + bytes(15) + b"\0")
    + segment(0xFFDA, b"\1\1\0\0\x3f\0")
    + b"\x3f\xff\xd9"
)
"""A grey square of 8 × 8 pixels: one code for "no difference", one for "no more"."""


def encapsulated(*fragments: bytes, offsets: bytes = b"") -> bytes:
    """Pixel Data as an offset table and these fragments, explicit VR little endian."""
    padded = (one + b"\0" * (len(one) % 2) for one in (offsets, *fragments))
    body = b"".join(EXPLICIT.item(one) for one in padded)
    return EXPLICIT.header(0x7FE00010, "OB", UNDEFINED) + body + EXPLICIT.mark(0xE0DD)


ONE_JPEG = encapsulated(JPEG_START + JPEG_REST)


def described(bits: int = 8, stored: int | None = None, high: int | None = None, signed: int = 0) -> bytes:
    """The attributes of a grey picture of 2 rows and 4 columns, explicit VR little endian."""
    stored = stored or bits
    numbers = {
        0x00280010: 2,
        0x00280011: 4,
        0x00280100: bits,
        0x00280101: stored,
        0x00280102: stored - 1 if high is None else high,
    }
    body = EXPLICIT.number(0x00280002, 1) + EXPLICIT.element(0x00280004, "CS", b"MONOCHROME2")
    return (
        body
        + b"".join(EXPLICIT.number(tag, value) for tag, value in numbers.items())
        + EXPLICIT.number(0x00280103, signed)
    )
