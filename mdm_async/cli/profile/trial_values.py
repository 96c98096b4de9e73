"""Encoded values as short text, for people to look at."""

import struct
from typing import Final

from mdm_async.dicom.character_sets import CharacterSet
from mdm_async.dicom.elements import Encoding

_LONGEST: Final = 48
"""Characters."""
_MOST: Final = 4
"""Numbers."""
_NUMBERS: Final = {
    b"US": "H",
    b"SS": "h",
    b"UL": "L",
    b"SL": "l",
    b"UV": "Q",
    b"SV": "q",
    b"FL": "f",
    b"FD": "d",
}
_TEXTS: Final = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UI UR UT".split())


class Values:
    """Reads the values of one file, whose Specific Character Set (0008,0005) this is."""

    def __init__(self, character_set: bytes = b"") -> None:
        self._character_set = CharacterSet(character_set)

    def text(self, vr: bytes, value: bytes, encoding: Encoding) -> str:
        """At most 48 characters; of bytes that are no text how many there are."""
        if vr in _TEXTS:
            return shortened(self._character_set.text(value))
        if (code := _NUMBERS.get(vr)) and value and not len(value) % struct.calcsize("<" + code):
            count = len(value) // struct.calcsize("<" + code)
            order = ">" if encoding.big_endian else "<"
            some = struct.unpack_from(f"{order}{min(count, _MOST)}{code}", value)
            return "\\".join(f"{number:g}" for number in some) + ("\\…" if count > _MOST else "")
        return f"{len(value)} bytes" if value else ""


def shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
