"""Walk encoded elements (any VR encoding, byte order, nesting) without decoding their values (PS3.5 §7).

The headers of items and delimiters, which have no VR, are read by `items`.
Everything here works on offsets into one buffer. Each length is checked against its container; what does not fit is
`Malformed`, with the offset in bytes at which it was found (`base` is added where the buffer is part of a stream).
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from mdm_async.dicom.items import BIG, HEADER, ITEM, ITEM_END, LITTLE, SEQUENCE_END
from mdm_async.errors import Malformed

Buffer = bytes | bytearray | memoryview

UNDEFINED: Final = 0xFFFFFFFF
DIRECTORY_RECORDS: Final = 0x00041220
PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
MAX_DEPTH: Final = 64
"""Sequences inside sequences; real files stay below ten."""

SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
BLANK_VRS: Final = frozenset((b"  ", b"??", b"\0\0"))
"""What some writers put where they know no VR. The length after it has two bytes, as dcmtk reads it too."""
_BULK_VRS: Final = frozenset(b"OB OD OF OL OV OW".split())
_ZEROS: Final = bytes(8)


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


def holds_fragments(tag: int, vr: bytes, at: int) -> bool:
    """Whether a value of undefined length holds fragments (True) or items with data sets (False)."""
    if tag in PIXEL_TAGS or vr in _BULK_VRS:
        return True
    if vr in (b"", b"SQ", b"UN"):
        return False
    raise Malformed(f"an undefined length at byte {at} where the VR allows none")


class _Level:
    """One open value of undefined length: a sequence, an item of one, or fragments."""

    __slots__ = ("encoding", "holds_fragments", "is_item")

    def __init__(
        self, encoding: Encoding | None, *, is_item: bool = False, holds_fragments: bool = False
    ) -> None:
        self.encoding = encoding
        self.is_item = is_item
        self.holds_fragments = holds_fragments


class Nesting:
    """Where a walk stands inside values of undefined length. Steps over headers; needs one header at a time."""

    def __init__(self, encoding: Encoding) -> None:
        self.in_doubt = False
        """Whether more than a header may have to be seen of what comes next."""
        self._encoding = encoding
        self._open: list[_Level] = []

    def __bool__(self) -> bool:
        """Whether anything is open: False between elements of the outermost data set."""
        return bool(self._open)

    def header_size(self, data: Buffer, at: int, available: int) -> int:
        """As `Encoding.header_size`, for whatever may come next here: an element, an item or a delimiter."""
        if available < HEADER:
            return 0
        if self.in_doubt:
            needed = IN_UN.bytes_to_tell(data, at, available)
            if not needed or needed > available:
                return 0
        if not self._open:
            return self._encoding.header_size(data, at, available)
        level = self._open[-1]
        if not level.is_item:
            return HEADER
        encoding = level.encoding or self._resolve(level, data, at, at + available)
        return HEADER if encoding.items.is_at(data, at) else encoding.header_size(data, at, available)

    def step(self, data: Buffer, at: int, end: int, base: int = 0) -> tuple[int, int, int]:
        """Take the header at `at`: (tag, value offset, bytes of value to skip before the next header)."""
        encoding = self._encoding
        if self._open:
            level = self._open[-1]
            if not level.is_item:
                return self._item(level, data, at, end, base)
            encoding = level.encoding or self._resolve(level, data, at, end)
            if encoding.items.is_at(data, at):
                tag, value, _ = encoding.items.header(data, at, end, base)
                if tag != ITEM_END:
                    raise Malformed(f"an item or a delimiter at byte {base + at} where an element should be")
                self._open.pop()
                return tag, value, 0
        tag, vr, value, length = encoding.header(data, at, end, base)
        if length == UNDEFINED:
            self.enter(tag, vr, base + at)
            length = 0
        return tag, value, length

    def enter(self, tag: int, vr: bytes, at: int) -> None:
        """Go into a value of undefined length, whose header at stream offset `at` has been read."""
        if len(self._open) >= 2 * MAX_DEPTH:
            raise Malformed(f"sequences are nested deeper than {MAX_DEPTH} levels at byte {at}")
        encoding = (self._open[-1].encoding if self._open else None) or self._encoding
        if holds_fragments(tag, vr, at):
            self._open.append(_Level(encoding, holds_fragments=True))
        else:
            self._open.append(_Level(encoding.inside(vr)))

    def _item(self, level: _Level, data: Buffer, at: int, end: int, base: int) -> tuple[int, int, int]:
        assert level.encoding is not None
        tag, value, length = level.encoding.items.header(data, at, end, base)
        if tag == SEQUENCE_END:
            self._open.pop()
        elif tag != ITEM:
            raise Malformed(f"neither an item nor a delimiter at byte {base + at}")
        elif length != UNDEFINED:
            return tag, value, length
        elif level.holds_fragments:
            raise Malformed(f"a fragment of undefined length at byte {base + at}")
        else:
            # Which encoding is in the item shows only with its first element.
            self._open.append(_Level(None, is_item=True))
            self.in_doubt = level.encoding is IN_UN
        return tag, value, 0

    def _resolve(self, item: _Level, data: Buffer, at: int, end: int) -> Encoding:
        """The encoding inside an item, now that its first element is at `at`."""
        around = self._open[-2].encoding
        assert around is not None
        item.encoding = around.of_item(data, at, end)
        self.in_doubt = False
        return item.encoding


class Element(NamedTuple):
    """One element, by offsets into its buffer."""

    tag: int
    vr: bytes
    """b"" in implicit VR."""
    start: int
    value: int
    length: int
    """Bytes of the value; for an undefined length up to, without, its sequence delimiter."""
    end: int
    """Offset of whatever follows the element."""
    undefined: bool


class Item(NamedTuple):
    """One item of a sequence: its data set's bounds and encoding."""

    start: int
    end: int
    encoding: Encoding


def skip_undefined(
    data: Buffer, tag: int, vr: bytes, at: int, end: int, encoding: Encoding, base: int = 0
) -> int:
    """The offset after the value of undefined length at `at`, its sequence delimiter included."""
    nesting = Nesting(encoding)
    nesting.enter(tag, vr, base + at)
    while nesting:
        _, value, skip = nesting.step(data, at, end, base)
        if skip > end - value:
            raise Malformed(f"a length at byte {base + at} points past the end of its container")
        at = value + skip
    return at


def walk(data: Buffer, at: int, end: int, encoding: Encoding, base: int = 0) -> Iterator[Element]:
    """The elements of one data set, in file order, not going into sequences."""
    while at < end:
        if is_padding(data, at, end):
            return
        element = _element(data, at, end, encoding, base)
        yield element
        at = element.end


def items(data: Buffer, sequence: Element, encoding: Encoding, base: int = 0) -> Iterator[Item]:
    """The items of a sequence that `walk` found."""
    encoding = encoding.inside(sequence.vr)
    at, end = sequence.value, sequence.value + sequence.length
    while at < end:
        tag, value, length = encoding.items.header(data, at, end, base)
        if tag != ITEM:
            raise Malformed(f"neither an item nor a delimiter at byte {base + at}")
        if length == UNDEFINED:
            inner = encoding.of_item(data, value, end)
            after = _end_of_item(data, value, end, inner, base)
            yield Item(value, after - HEADER, inner)
        else:
            after = value + length
            if after > end:
                raise Malformed(f"an item at byte {base + at} points past the end of its sequence")
            yield Item(value, after, encoding.of_item(data, value, after))
        at = after


def is_blank_and_empty(data: Buffer) -> bool:
    """Whether this is a whole element, with neither a VR nor a value."""
    return len(data) == 8 and bytes(data[4:6]) in BLANK_VRS and data[6:] == b"\0\0"


def is_padding(data: Buffer, at: int, end: int) -> bool:
    """Whether there are only zeros from here on, with which some writers fill up their files."""
    return data[at : at + 8] == _ZEROS[: end - at] and not bytes(data[at:end]).strip(b"\0")


def _element(data: Buffer, at: int, end: int, encoding: Encoding, base: int) -> Element:
    tag, vr, value, length = encoding.header(data, at, end, base)
    if length == UNDEFINED:
        after = skip_undefined(data, tag, vr, value, end, encoding, base)
        return Element(tag, vr, at, value, after - value - HEADER, after, True)
    if length > end - value:
        raise Malformed(f"a length at byte {base + at} points past the end of its container")
    return Element(tag, vr, at, value, length, value + length, False)


def _end_of_item(data: Buffer, at: int, end: int, encoding: Encoding, base: int) -> int:
    """The offset after the delimiter of an item of undefined length."""
    while not encoding.items.is_at(data, at):
        at = _element(data, at, end, encoding, base).end
    tag, after, _ = encoding.items.header(data, at, end, base)
    if tag != ITEM_END:
        raise Malformed(f"an item or a delimiter at byte {base + at} where an element should be")
    return after
