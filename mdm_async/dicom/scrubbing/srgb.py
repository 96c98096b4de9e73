"""An ICC profile that says of colours that they are sRGB, and nothing of a device (ICC.1:2001-04)."""

import struct
from functools import cache
from typing import Final

_D50: Final = (0.9642, 1.0, 0.8249)
_RED, _GREEN, _BLUE = (0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141)
_GAMMA: Final = 0x0233
"""2.2 in eight bits and eight bits of fraction."""


@cache
def srgb_profile() -> bytes:
    """An input profile, as color images have (PS3.3 C.11.15)."""
    text = b"sRGB\0"
    contents = {
        b"desc": b"desc" + bytes(4) + struct.pack(">L", len(text)) + text + bytes(78),
        b"cprt": b"text" + bytes(4) + b"none\0",
        b"wtpt": _xyz(_D50),
        b"rXYZ": _xyz(_RED),
        b"gXYZ": _xyz(_GREEN),
        b"bXYZ": _xyz(_BLUE),
        b"rTRC": _CURVE,
        b"gTRC": _CURVE,
        b"bTRC": _CURVE,
    }
    table, body, at = struct.pack(">L", len(contents)), b"", 128 + 4 + 12 * len(contents)
    for signature, content in contents.items():
        table += signature + struct.pack(">LL", at + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    header = struct.pack(
        ">L4xL4s4s4s6H4s28x3L48x",
        at + len(body),
        0x02100000,
        b"scnr",
        b"RGB ",
        b"XYZ ",
        *_DATE,
        b"acsp",
        *map(_fixed, _D50),
    )
    return header + table + body


_DATE: Final = (2000, 1, 1, 0, 0, 0)
_CURVE: Final = b"curv" + bytes(4) + struct.pack(">LH", 1, _GAMMA)


def _xyz(values: tuple[float, float, float]) -> bytes:
    return b"XYZ " + bytes(4) + struct.pack(">3L", *map(_fixed, values))


def _fixed(value: float) -> int:
    return round(value * 65536)
