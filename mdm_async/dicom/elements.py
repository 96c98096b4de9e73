"""Read the headers of elements in any VR encoding and byte order, without decoding their values (PS3.5 §7.1).

The headers of items and delimiters, which have no VR, are read by `items`; `walking` goes through data sets.
Offsets are into one buffer; in errors `base` is added, where that buffer is part of a stream.
"""

import struct
from typing import Final

from mdm_async.dicom.items import BIG, HEADER, LITTLE
from mdm_async.errors import Malformed

Buffer = bytes | bytearray | memoryview

UNDEFINED: Final = 0xFFFFFFFF
DIRECTORY_RECORDS: Final = 0x00041220
PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})

SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
BLANK_VRS: Final = frozenset((b"  ", b"??", b"\0\0"))
"""What some writers put where they know no VR. The length after it has two bytes, as dcmtk reads it too."""


class Encoding:
    """How elements are written: explicit or implicit VR, little or big endian. Use the four constants below."""

    __slots__ = ("_short", "big_endian", "explicit", "items", "tag_and_length", "u16", "u32")

    def __init__(self, *, explicit: bool, big_endian: bool) -> None:
        order = ">" if big_endian else "<"
        self.explicit = explicit
        self.big_endian = big_endian
        self.items = BIG if big_endian else LITTLE
        """Reads items and delimiters in this byte order."""
        self._short = struct.Struct(order + "HH2sH")
        self.tag_and_length = struct.Struct(order + "HHL")
        self.u16 = struct.Struct(order + "H")
        self.u32 = struct.Struct(order + "L")

    def __reduce__(self) -> str:
        # There is one of each: a copy is the constant itself, in another process too.
        return f"{'EXPLICIT' if self.explicit else 'IMPLICIT'}_{'BIG' if self.big_endian else 'LITTLE'}"

    def __repr__(self) -> str:
        return f"{'explicit' if self.explicit else 'implicit'} VR {'big' if self.big_endian else 'little'} endian"

    def header_size(self, data: Buffer, at: int, available: int) -> int:
        """Bytes of the element header at `at`: 8 or 12, or 0 when `available` are too few to tell."""
        if available < 8:
            return 0
        size = needed = 8
        if self.explicit:
            vr = bytes(data[at + 4 : at + 6])
            if vr in LONG_VRS:
                size = needed = 12
            elif vr in BLANK_VRS and data[at + 6 : at + 8] == b"\0\0":
                needed = 16
        return size if needed <= available else 0

    def header(self, data: Buffer, at: int, end: int, base: int = 0) -> tuple[int, bytes, int, int]:
        """(tag, VR, value offset, length) of the element at `at`; the VR is b"" when it is not written.

        The length may be UNDEFINED, and is not checked. Raises Malformed for what is no element.
        """
        if end - at < 8:
            raise Malformed(f"an element header is cut short at byte {base + at}")
        group, element, vr, length = self._short.unpack_from(data, at)
        if group == 0xFFFE:
            raise Malformed(f"an item or a delimiter at byte {base + at} where an element should be")
        if not self.explicit:
            return group << 16 | element, b"", at + 8, self.u32.unpack_from(data, at + 4)[0]
        if vr in SHORT_VRS:
            return group << 16 | element, vr, at + 8, length
        if vr in BLANK_VRS and (group or element):
            if not length and not self._goes_on(data, at + 8, end, group << 16 | element):
                # Two zero bytes and a length of four are as likely.
                raise Malformed(f"the VR is left blank at byte {base + at + 4}, and so is what follows it")
            return group << 16 | element, vr, at + 8, length
        if vr not in LONG_VRS:
            # The size of the length field depends on the VR: going on would be a guess (pydicom makes one).
            raise Malformed(
                f"no known VR at byte {base + at + 4}, though the transfer syntax has explicit VRs"
            )
        if end - at < 12:
            raise Malformed(f"an element header is cut short at byte {base + at}")
        return group << 16 | element, vr, at + 12, self.u32.unpack_from(data, at + 8)[0]

    def of_item(self, data: Buffer, at: int, end: int) -> "Encoding":
        """The encoding inside an item whose first element is at `at`.

        Explicit VR files may hold items written in implicit VR (always so in UN, PS3.5 §6.2.2, and by some writers
        elsewhere). Like pydicom, the first element's VR bytes tell: two capital letters would otherwise be a first
        element longer than 16 kB, which in UN may well be, so there what comes after the element tells. A wrong guess
        cannot go unseen, since lengths would no longer fit.
        """
        if not self.explicit:
            return self
        vr = bytes(data[at + 4 : at + 6])
        if self is IN_UN:
            told = end - at >= 8 and not self.items.is_at(data, at)
            return EXPLICIT_LITTLE if not told or self._written_in_un(data, at, end, vr) else IMPLICIT_LITTLE
        if vr in SHORT_VRS or vr in LONG_VRS or end - at < 8 or self.items.is_at(data, at):
            return self
        if data[at + 4 : at + 8] != bytes(4) if vr in BLANK_VRS else vr.isalpha() and vr.isupper():
            return self
        return IMPLICIT_BIG if self.big_endian else IMPLICIT_LITTLE

    def bytes_to_tell(self, data: Buffer, at: int, available: int) -> int:
        """How many bytes `of_item` has to see of an item in UN: up to 64 kB; 0 when `available` are too few to say."""
        if available < 12 and not self.items.is_at(data, at):
            return 0
        vr = bytes(data[at + 4 : at + 6])
        if self.items.is_at(data, at) or vr not in SHORT_VRS | LONG_VRS:
            return 8
        return min(self._ends_of_first(data, at, vr)) - at + 8

    def _ends_of_first(self, data: Buffer, at: int, vr: bytes) -> tuple[int, int]:
        """Where the first element of an item ends if VRs are written, and if they are not."""
        implicit = at + 8 + self.u32.unpack_from(data, at + 4)[0]
        if vr in SHORT_VRS:
            return at + 8 + self.u16.unpack_from(data, at + 6)[0], implicit
        length = self.u32.unpack_from(data, at + 8)[0]
        if length == UNDEFINED or (length >= HEADER and vr == b"SQ"):
            length = 0  # its own items tell
        return at + 12 + length, implicit

    def _written_in_un(self, data: Buffer, at: int, end: int, vr: bytes) -> bool:
        if vr not in SHORT_VRS | LONG_VRS or (vr in LONG_VRS and end - at < 12):
            return False
        tag = self.u16.unpack_from(data, at)[0] << 16 | self.u16.unpack_from(data, at + 2)[0]
        explicit, implicit = self._ends_of_first(data, at, vr)
        if explicit <= implicit:
            return self._goes_on(data, explicit, end, 0)
        return not IMPLICIT_LITTLE._goes_on(data, implicit, end, tag)

    def _goes_on(self, data: Buffer, at: int, end: int, above: int) -> bool:
        """Whether at `at` is what may follow an element: the end, an item or delimiter, an element of a higher tag."""
        if at == end:
            return True
        if end - at < 8:
            return False
        group, element, vr, _ = self._short.unpack_from(data, at)
        if group == 0xFFFE:
            return True
        if group << 16 | element <= above:
            return False
        if self.explicit:
            return vr in SHORT_VRS or vr in LONG_VRS or vr in BLANK_VRS
        return data[at + 7] in (0, 0xFF)  # shorter than 16 MB, or undefined

    def inside(self, vr: bytes) -> "Encoding":
        """The encoding of the items of a sequence written with this VR: UN is little endian (PS3.5 §6.2.2)."""
        return IN_UN if vr == b"UN" else self


EXPLICIT_LITTLE: Final = Encoding(explicit=True, big_endian=False)
EXPLICIT_BIG: Final = Encoding(explicit=True, big_endian=True)
IMPLICIT_LITTLE: Final = Encoding(explicit=False, big_endian=False)
IMPLICIT_BIG: Final = Encoding(explicit=False, big_endian=True)
IN_UN: Final = Encoding(explicit=True, big_endian=False)
"""Of items in UN: in which VR encoding each is, `of_item` has to find out."""

DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_ENCODINGS: Final = {
    "1.2.840.10008.1.2": IMPLICIT_LITTLE,
    "1.2.840.10008.1.2.2": EXPLICIT_BIG,
    "1.2.840.113619.5.2": IMPLICIT_LITTLE,  # of GE
}


def encoding_of(transfer_syntax: str) -> Encoding:
    """The encoding of a data set under this transfer syntax (PS3.5 Annex A); all others are explicit little endian."""
    return _ENCODINGS.get(transfer_syntax, EXPLICIT_LITTLE)


def is_blank_and_empty(data: Buffer) -> bool:
    """Whether this is a whole element, with neither a VR nor a value."""
    return len(data) == 8 and bytes(data[4:6]) in BLANK_VRS and data[6:] == b"\0\0"
