"""An image of a few bytes, of nobody, for what stores images only."""

import secrets
import struct
from typing import Final

_CT: Final = "1.2.840.10008.5.1.4.1.1.2"
_EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"


def tiny_image() -> bytes:
    """A DICOM Part 10 file (PS3.10 §7) with 4 × 4 pixels and identifiers of its own."""
    study, series, instance = (f"2.25.{secrets.randbits(120)}" for _ in range(3))
    meta = b"".join(
        (
            _element(0x0002, 0x0001, "OB", b"\0\1"),
            _element(0x0002, 0x0002, "UI", _CT),
            _element(0x0002, 0x0003, "UI", instance),
            _element(0x0002, 0x0010, "UI", _EXPLICIT_LITTLE),
            _element(0x0002, 0x0012, "UI", "2.25.1"),
        )
    )
    data = (
        _element(0x0008, 0x0008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"),
        _element(0x0008, 0x0016, "UI", _CT),
        _element(0x0008, 0x0018, "UI", instance),
        _element(0x0008, 0x0060, "CS", "CT"),
        _element(0x0010, 0x0010, "PN", "Nobody"),
        _element(0x0010, 0x0020, "LO", secrets.token_hex(8)),
        _element(0x0020, 0x000D, "UI", study),
        _element(0x0020, 0x000E, "UI", series),
        _element(0x0028, 0x0002, "US", struct.pack("<H", 1)),
        _element(0x0028, 0x0004, "CS", "MONOCHROME2"),
        _element(0x0028, 0x0010, "US", struct.pack("<H", 4)),
        _element(0x0028, 0x0011, "US", struct.pack("<H", 4)),
        _element(0x0028, 0x0100, "US", struct.pack("<H", 8)),
        _element(0x0028, 0x0101, "US", struct.pack("<H", 8)),
        _element(0x0028, 0x0102, "US", struct.pack("<H", 7)),
        _element(0x0028, 0x0103, "US", struct.pack("<H", 0)),
        _element(0x0028, 0x0301, "CS", "NO"),
        _element(0x7FE0, 0x0010, "OB", bytes(range(16))),
    )
    length = _element(0x0002, 0x0000, "UL", struct.pack("<I", len(meta)))
    return bytes(128) + b"DICM" + length + meta + b"".join(data)


def _element(group: int, element: int, vr: str, value: bytes | str) -> bytes:
    if isinstance(value, str):
        value = value.encode("ascii")
        value += (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
    head = struct.pack("<HH2s", group, element, vr.encode())
    length = struct.pack("<xxI", len(value)) if vr == "OB" else struct.pack("<H", len(value))
    return head + length + value
