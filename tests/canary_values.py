"""Values that one can look for again: one for each VR, each unlike every other, and the elements that carry them.

The encoder here shares nothing with the one that it helps to test.
"""

import datetime
import re
import struct
from collections.abc import Collection
from dataclasses import dataclass
from random import Random

LONG_VRS = frozenset(["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"])
NUMBERS = {"US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "FD": 8, "AT": 2, "SV": 8, "UV": 8}
"""Bytes of a word in which a byte order counts, for VRs of numbers."""
BULK = {"OB": 1, "UN": 1, "OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
DATE_STEP = 401
"""Days between two planted dates: a shift by whole days turns none into another, unless it is a multiple of this."""
_FIRST_DAY = datetime.date(1000, 1, 1)
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
TOKEN = re.compile(rb"CNRY[A-HJ-NP-Z2-9]{8}|1\.2\.840\.10008\.9[0-9]{15}\.7")
"""What text that was planted holds, and UIDs that begin like the standard's own."""
UNDEFINED = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Marker:
    """Something identifying that was planted."""

    text: bytes
    """What is looked for."""
    vr: str
    path: tuple[int, ...]
    """Tags from the outermost sequence to the attribute itself; () outside of data sets."""
    where: str
    """In words: "preamble", "private block", "icon" ..."""
    creator: str = ""
    """Of a private element: who reserved its block; "" when nobody did."""

    def __str__(self) -> str:
        tags = ">".join(f"{tag >> 16:04X},{tag & 0xFFFF:04X}" for tag in self.path)
        return f"{self.where} {tags} {self.vr} {self.text!r}"

    def stands_in(self, data: bytes, tokens: Collection[bytes]) -> bool:
        """Whether it is there, in either byte order. `tokens`: all that TOKEN finds in the data."""
        if match := TOKEN.match(self.text):
            return match.group() in tokens
        if self.vr in NUMBERS:
            return self.text in data or swapped(self.text, NUMBERS[self.vr]) in data
        at = data.find(self.text)
        while at >= 0 and not self._alone(data, at):
            at = data.find(self.text, at + 1)
        return at >= 0

    def _alone(self, data: bytes, at: int) -> bool:
        """Whether what is found there, digits and points, does not stand by chance inside a longer number."""
        before, after = data[max(at - 1, 0) : at], data[at + len(self.text) : at + len(self.text) + 2]
        if before and before in b"0123456789.":
            return False
        # A group in big endian may begin with the byte that is the digit 0.
        return self.vr == "DT" or not after[:1].isdigit() or (after[:1] == b"0" and not after[1:].isdigit())


def swapped(data: bytes, size: int) -> bytes:
    """The words of `size` bytes in the other byte order."""
    return b"".join(data[at : at + size][::-1] for at in range(0, len(data), size))


class Values:
    """Makes what is planted, from a seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._days = 0
        self._seen: set[bytes] = set()

    def token(self) -> str:
        """Twelve capital letters and digits that stand nowhere else."""
        return "CNRY" + "".join(self._random.choice(_LETTERS) for _ in range(8))

    def make(self, vr: str) -> tuple[bytes, bytes]:
        """(a value that is legal for this VR, what to look for in it)."""
        while True:
            value, marker = self._make(vr)
            if marker not in self._seen:
                self._seen.add(marker)
                return value, marker

    def _make(self, vr: str) -> tuple[bytes, bytes]:
        number = self._random.randrange
        if vr in NUMBERS:  # several of the short ones: one alone could not be told from other bytes
            raw = self._random.randbytes(8 if NUMBERS[vr] < 8 else 16)
            return raw, raw
        if vr in BULK:
            raw = self.token().encode() + self._random.randbytes(4)
            return raw, raw
        if vr in ("DA", "DT"):  # of both the day must go
            self._days += 1
            day = f"{_FIRST_DAY + datetime.timedelta(self._days * DATE_STEP):%Y%m%d}".zfill(8)
            time = f"{number(24):02}{number(60):02}{number(60):02}.{number(10**6):06}"
            return (day + (time if vr == "DT" else "")).encode(), day.encode()
        if vr == "TM":
            text = f"{number(24):02}{number(60):02}{number(60):02}.{number(10**6):06}"
        elif vr == "AS":
            text = f"{number(1000):03}Y\\{number(1000):03}M\\{number(1000):03}D"
        elif vr == "UI":
            text = f"1.3.55.77.{number(10**12, 10**13)}.9"
        elif vr == "DS":
            text = f"7{number(10**5):05}.{number(10**5):05}"
        elif vr == "IS":
            text = f"1{number(10**9):09}"
        else:
            token = self.token()
            whole = {
                "PN": f"{token}^CANARY",
                "UR": f"urn:planted:{token}",
                "CS": token,
                "AE": token,
                "SH": token,
            }
            return whole.get(vr, f"left by {token}").encode(), token.encode()
        return text.encode(), text.encode()


class Encoder:
    """Encodes elements, items and sequences."""

    def __init__(self, *, explicit: bool = True, big_endian: bool = False) -> None:
        self.explicit = explicit
        self.order = ">" if big_endian else "<"

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        if len(value) % 2:
            value += b"\0" if vr in ("UI", "OB", "UN") else b" "
        if self.explicit and vr not in LONG_VRS:
            return struct.pack(f"{self.order}HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value
        return self.header(tag, vr, len(value)) + value

    def header(self, tag: int, vr: str, length: int) -> bytes:
        """Of an element with a length of four bytes."""
        if not self.explicit:
            return struct.pack(f"{self.order}HHL", tag >> 16, tag & 0xFFFF, length)
        return struct.pack(f"{self.order}HH2sHL", tag >> 16, tag & 0xFFFF, vr.encode(), 0, length)

    def mark(self, element: int, length: int = 0) -> bytes:
        """(FFFE,element): an item or a delimiter."""
        return struct.pack(f"{self.order}HHL", 0xFFFE, element, length)

    def item(self, body: bytes, *, undefined: bool = False) -> bytes:
        if undefined:
            return self.mark(0xE000, UNDEFINED) + body + self.mark(0xE00D)
        return self.mark(0xE000, len(body)) + body

    def sequence(self, tag: int, *bodies: bytes, undefined: bool = False, vr: str = "SQ") -> bytes:
        """One item for each body. Written as UN, it must be an implicit VR little endian encoder's items."""
        content = b"".join(self.item(body, undefined=undefined) for body in bodies)
        if undefined:
            return self.header(tag, vr, UNDEFINED) + content + self.mark(0xE0DD)
        return self.element(tag, vr, content)

    def number(self, tag: int, value: int) -> bytes:
        return self.element(tag, "US", struct.pack(f"{self.order}H", value))


EXPLICIT = Encoder()
IMPLICIT = Encoder(explicit=False)
BIG = Encoder(big_endian=True)
