"""Overlays that may stay under the option Clean Graphics (PS3.3 §C.9.2, PS3.15 §E.3.3)."""

from collections.abc import Iterable
from typing import Final

from mdm_async.dicom.elements import Encoding

_ROWS, _COLUMNS, _FRAMES, _TYPE, _DATA = 0x0010, 0x0011, 0x0015, 0x0040, 0x3000
_ONCE: Final = frozenset((_ROWS, _COLUMNS, _FRAMES, _TYPE, _DATA))
_REGION: Final = b"R"


def shows_region(elements: Iterable[tuple[int, bytes]], encoding: Encoding) -> bool:
    """Whether an overlay's group, of these (tag, value) pairs, is a region of interest and nothing else.

    An overlay of type G is graphics, into which text may be drawn; without a type nobody knows what it is. Its data may
    not be longer than its bits are: what comes after them is not shown, and could be anything.
    """
    found: dict[int, bytes] = {}
    for tag, value in elements:
        element = tag & 0xFFFF
        if element in found:
            return False
        if element in _ONCE:
            found[element] = value
    if found.get(_TYPE, b"").strip(b"\0 ") != _REGION:
        return False
    rows, columns = (_number(found.get(element, b""), encoding) for element in (_ROWS, _COLUMNS))
    frames = found.get(_FRAMES, b"").strip(b"\0 ") or b"1"
    if not (frames.isdigit() and len(frames) <= 12):
        return False
    size = (rows * columns * int(frames) + 7) // 8
    return len(found.get(_DATA, b"")) <= size + size % 2


def _number(value: bytes, encoding: Encoding) -> int:
    number: int = encoding.u16.unpack(value)[0] if len(value) == 2 else 0
    return number
