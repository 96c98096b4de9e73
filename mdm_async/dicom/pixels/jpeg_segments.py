"""The marker segments that JPEG and JPEG-LS decoders read: nothing may be in them but what they have to say.

Zeros would be no remedy: decoders read tables up to a segment's end, and take a length that is not exact for damage.
"""

from collections.abc import Callable
from typing import Final

LONGEST: Final = 4096
"""Bytes of a segment after its length: more than any can need. All Huffman tables at once take 2184."""


def nothing_else(marker: int, body: bytes) -> bool:
    """Whether the segment is what its marker says (ISO 10918-1 Annex B, ISO 14495-1 Annex C), to the last byte.

    `body` comes after the length field. False for markers that no decoder of DICOM's transfer syntaxes reads.
    """
    check = _CHECKS.get(marker)
    return check is not None and check(body)


def _frame(body: bytes) -> bool:
    """SOF, DHP: precision, lines, columns, then identifier, sampling factors and quantization table per component."""
    return (
        len(body) >= 6
        and len(body) == 6 + 3 * body[5]
        and all(1 <= factors >> 4 <= 4 and 1 <= factors & 0xF <= 4 for factors in body[7::3])
        and all(table <= 3 for table in body[8::3])
    )


def _scan(body: bytes) -> bool:
    """SOS: component and tables for each of up to four, then three parameters."""
    components = body[0] if body else 0
    return (
        1 <= components <= 4
        and len(body) == 4 + 2 * components
        and not any(one & 0xCC for one in body[2:-3:2])
    )


def _huffman(body: bytes) -> bool:
    """DHT: class and destination, the number of codes of each length, their values; one table or more."""
    at = 0
    while at + 17 <= len(body) and not body[at] & 0xEC:
        at += 17 + sum(body[at + 1 : at + 17])
    return at == len(body) > 0


def _quantization(body: bytes) -> bool:
    """DQT: precision and destination, 64 numbers; one table or more."""
    at = 0
    while at < len(body) and not body[at] & 0xEC:
        at += 1 + 64 * (1 + (body[at] >> 4))
    return at == len(body) > 0


def _conditioning(body: bytes) -> bool:
    """DAC: class and destination, and one number."""
    return len(body) in range(2, 17, 2) and not any(one & 0xEC for one in body[::2])


def _preset(body: bytes) -> bool:
    """LSE: thresholds, or larger dimensions. Not mapping tables: a palette is the business of DICOM's attributes."""
    if body[:1] == b"\1":
        return len(body) == 11
    return body[:1] == b"\4" and len(body) >= 2 and 2 <= body[1] <= 4 and len(body) == 2 + 2 * body[1]


def _long(count: int) -> Callable[[bytes], bool]:
    return lambda body: len(body) == count


_CHECKS: Final[dict[int, Callable[[bytes], bool]]] = {
    **dict.fromkeys({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}, _frame),
    0xC4: _huffman,
    0xCC: _conditioning,
    0xDA: _scan,
    0xDB: _quantization,
    0xDC: _long(2),  # number of lines
    0xDD: _long(2),  # restart interval
    0xDE: _frame,
    0xDF: _long(1),  # expansion of reference components
    0xF7: _frame,
    0xF8: _preset,
}
