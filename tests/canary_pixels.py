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
    return fragments_alone(offsets, *fragments)


def fragments_alone(*fragments: bytes) -> bytes:
    """Pixel Data as nothing but these fragments."""
    padded = (one + b"\0" * (len(one) % 2) for one in fragments)
    body = b"".join(EXPLICIT.item(one) for one in padded)
    return EXPLICIT.header(0x7FE00010, "OB", UNDEFINED) + body + EXPLICIT.mark(0xE0DD)


ONE_JPEG = encapsulated(JPEG_START + JPEG_REST)


def described(
    bits: int = 8,
    stored: int | None = None,
    high: int | None = None,
    signed: int = 0,
    frames: bytes = b"",
    rows: int = 2,
    columns: int = 4,
) -> bytes:
    """The attributes of a grey picture, explicit VR little endian."""
    stored = stored or bits
    high = stored - 1 if high is None else high
    size = EXPLICIT.number(0x00280010, rows) + EXPLICIT.number(0x00280011, columns)
    numbers = {0x00280100: bits, 0x00280101: stored, 0x00280102: high, 0x00280103: signed}
    return (
        EXPLICIT.number(0x00280002, 1)
        + EXPLICIT.element(0x00280004, "CS", b"MONOCHROME2")
        + (EXPLICIT.element(0x00280008, "IS", frames) if frames else b"")
        + size
        + b"".join(EXPLICIT.number(tag, value) for tag, value in numbers.items())
    )


def run_length_encoded(*planes: bytes) -> bytes:
    """A frame of these byte planes, in literal runs (PS3.5 Annex G)."""
    segments = []
    for plane in planes:
        runs = (plane[at : at + 128] for at in range(0, len(plane), 128))
        segment = b"".join(bytes([len(run) - 1]) + run for run in runs)
        segments.append(segment + b"\0" * (len(segment) % 2))
    offsets = [64 + sum(map(len, segments[:number])) for number in range(len(segments))]
    return struct.pack("<16L", len(segments), *offsets, *[0] * (15 - len(segments))) + b"".join(segments)


def extended_table(offsets: list[int], lengths: list[int]) -> bytes:
    """The Extended Offset Table and its lengths."""
    return b"".join(
        EXPLICIT.element(tag, "OV", struct.pack(f"<{len(numbers)}Q", *numbers))
        for tag, numbers in ((0x7FE00001, offsets), (0x7FE00002, lengths))
    )
