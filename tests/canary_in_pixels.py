"""Files in which something identifying stands beside the picture: in each place that pixels and their tables have."""

import struct
import zlib
from random import Random

from tests.canary import Canary
from tests.canary_pixels import (
    JPEG_REST,
    JPEG_START,
    described,
    encapsulated,
    extended_table,
    fragments_alone,
    run_length_encoded,
    segment,
)
from tests.canary_planter import CT_IMAGE, joined
from tests.canary_values import EXPLICIT, Marker

NATIVE, JPEG, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5"
UNCOMPRESSED, DEFLATED = "1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1"

_FRAME = bytes(128)
"""8 × 8 pixels of 16 bits."""
_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"


def in_pixels(seed: int) -> dict[str, Canary]:
    """By place, a file with one name in it. Frames have 16 bits, of which 8 are stored, unless they are JPEG."""
    random = Random(seed)

    def token() -> bytes:
        return b"CNRY" + "".join(random.choice(_LETTERS) for _ in range(8)).encode()

    def file(syntax: str, pixels: bytes, before: bytes = b"") -> bytes:
        size = {"rows": 8, "columns": 8, "frames": b"1"}
        about = described(**size) if syntax == JPEG else described(16, stored=8, **size)
        return bytes(128) + b"DICM" + _meta(syntax) + _identified() + about + before + pixels

    made = {}
    for place, (syntax, pixels, before) in _places(name := token()).items():
        made[f"in the pixels, {place}"] = Canary(
            file(syntax, pixels, before), [Marker(name, "OW", (0x7FE00010,), place)]
        )
    return made


def _places(name: bytes) -> dict[str, tuple[str, bytes, bytes]]:
    """(transfer syntax, pixels, what stands before them)."""
    high = bytes(len(name))
    spelled = b"".join(bytes(pair) for pair in zip(high, name, strict=True)) + _FRAME[2 * len(name) :]
    jpeg, rle = JPEG_START + JPEG_REST, run_length_encoded(_FRAME[1::2], _FRAME[::2])
    deflate = zlib.compressobj(wbits=-15)
    deflated = deflate.compress(_FRAME) + deflate.flush()
    padded = name + b"\0" * (-len(name) % 8)
    table = [int.from_bytes(padded[at : at + 8], "little") for at in range(0, len(padded), 8)]
    return {
        "high bits": (NATIVE, EXPLICIT.element(0x7FE00010, "OW", spelled), b""),
        "after the last frame": (NATIVE, EXPLICIT.element(0x7FE00010, "OW", _FRAME + name), b""),
        "high bits of a run-length encoded frame": (
            RLE,
            encapsulated(run_length_encoded(spelled[1::2], spelled[::2])),
            b"",
        ),
        "high bits of an encapsulated frame": (UNCOMPRESSED, encapsulated(spelled), b""),
        "after a run-length encoded frame": (RLE, encapsulated(rle + name), b""),
        "after an encapsulated frame": (UNCOMPRESSED, encapsulated(_FRAME + name), b""),
        "after a deflated frame": (DEFLATED, encapsulated(deflated + name), b""),
        "a Basic Offset Table": (RLE, encapsulated(rle, offsets=name), b""),
        "an Extended Offset Table": (RLE, encapsulated(rle), extended_table(table, [len(rle)] * 2)),
        "lengths of frames": (RLE, encapsulated(rle), extended_table([0, 8], table)),
        "an Extended Offset Table of native pixels": (
            NATIVE,
            EXPLICIT.element(0x7FE00010, "OW", _FRAME),
            extended_table(table, [1, 2]),
        ),
        "a comment": (JPEG, encapsulated(JPEG_START + segment(0xFFFE, name) + JPEG_REST), b""),
        "a comment without an offset table": (
            JPEG,
            fragments_alone(JPEG_START + segment(0xFFFE, name) + JPEG_REST),
            b"",
        ),
        "after a codestream": (JPEG, encapsulated(jpeg + name), b""),
    }


def _identified() -> bytes:
    said = {
        0x00080008: ("CS", b"ORIGINAL\\PRIMARY\\AXIAL"),
        0x00080016: ("UI", CT_IMAGE),
        0x00080018: ("UI", b"1.2.3.4.5.6"),
        0x00080060: ("CS", b"CT"),
    }
    return joined({tag: EXPLICIT.element(tag, vr, value) for tag, (vr, value) in said.items()})


def _meta(syntax: str) -> bytes:
    said = {0x00020001: ("OB", b"\0\1"), 0x00020002: ("UI", CT_IMAGE), 0x00020003: ("UI", b"1.2.3.4.5.6")}
    said[0x00020010] = ("UI", syntax.encode())
    meta = joined({tag: EXPLICIT.element(tag, vr, value) for tag, (vr, value) in said.items()})
    return EXPLICIT.element(0x00020000, "UL", struct.pack("<L", len(meta))) + meta
