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
PIXEL_TAGS: Final = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
MAX_DEPTH: Final = 64
"""Sequences inside sequences; real files stay below ten."""

SHORT_VRS: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
LONG_VRS: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_BULK_VRS: Final = frozenset(b"OB OD OF OL OV OW".split())


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

    def __repr__(self) -> str:
        return f"{'explicit' if self.explicit else 'implicit'} VR {'big' if self.big_endian else 'little'} endian"

    def header_size(self, data: Buffer, at: int, available: int) -> int:
        """Bytes of the element header at `at`: 8 or 12, or 0 when fewer than are needed are `available`."""
        if available < 8:
            return 0
        size = 12 if self.explicit and bytes(data[at + 4 : at + 6]) in LONG_VRS else 8
        return size if size <= available else 0

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
        element longer than 16 kB. A wrong guess cannot go unseen, since lengths would no longer fit.
        """
        if not self.explicit or end - at < 6 or self.items.is_at(data, at):
            return self
        first, second = data[at + 4], data[at + 5]
        if 0x41 <= first <= 0x5A and 0x41 <= second <= 0x5A:
            return self
        return IMPLICIT_BIG if self.big_endian else IMPLICIT_LITTLE

    def inside(self, vr: bytes) -> "Encoding":
        """The encoding of the items of a sequence written with this VR: UN is little endian (PS3.5 §6.2.2)."""
        return EXPLICIT_LITTLE if vr == b"UN" else self


EXPLICIT_LITTLE: Final = Encoding(explicit=True, big_endian=False)
EXPLICIT_BIG: Final = Encoding(explicit=True, big_endian=True)
IMPLICIT_LITTLE: Final = Encoding(explicit=False, big_endian=False)
IMPLICIT_BIG: Final = Encoding(explicit=False, big_endian=True)

DEFLATED: Final = "1.2.840.10008.1.2.1.99"
_ENCODINGS: Final = {"1.2.840.10008.1.2": IMPLICIT_LITTLE, "1.2.840.10008.1.2.2": EXPLICIT_BIG}


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

    __slots__ = ("encoding", "kind")

    def __init__(self, kind: str, encoding: Encoding | None) -> None:
        self.kind = kind
        self.encoding = encoding


class Nesting:
    """Where a walk stands inside values of undefined length. Steps over headers; needs one header at a time."""

    def __init__(self, encoding: Encoding) -> None:
        self._encoding = encoding
        self._open: list[_Level] = []

    def __bool__(self) -> bool:
        """Whether anything is open: False between elements of the outermost data set."""
        return bool(self._open)

    def header_size(self, data: Buffer, at: int, available: int) -> int:
        """As `Encoding.header_size`, for whatever may come next here: an element, an item or a delimiter."""
        if available < HEADER:
            return 0
        encoding = self._here(data, at, at + available)
        if self._awaits_items or encoding.items.is_at(data, at):
            return HEADER
        return encoding.header_size(data, at, available)

    def step(self, data: Buffer, at: int, end: int, base: int = 0) -> tuple[int, int, int]:
        """Take the header at `at`: (tag, value offset, bytes of value to skip before the next header)."""
        if self._awaits_items:
            return self._item(data, at, end, base)
        encoding = self._here(data, at, end)
        if self._open and encoding.items.is_at(data, at):
            tag, value, length = encoding.items.header(data, at, end, base)
            if tag != ITEM_END or length:
                raise Malformed(f"an item or a delimiter at byte {base + at} where an element should be")
            self._open.pop()
            return tag, value, 0
        tag, vr, value, length = encoding.header(data, at, end, base)
        if length == UNDEFINED:
            self.enter(tag, vr, base + at)
            length = 0
        return tag, value, length

    def _item(self, data: Buffer, at: int, end: int, base: int) -> tuple[int, int, int]:
        level = self._open[-1]
        assert level.encoding is not None
        tag, value, length = level.encoding.items.header(data, at, end, base)
        if tag == SEQUENCE_END and length == 0:
            self._open.pop()
        elif tag != ITEM:
            raise Malformed(f"neither an item nor a delimiter at byte {base + at}")
        elif length != UNDEFINED:
            return tag, value, length
        elif level.kind == "fragments":
            raise Malformed(f"a fragment of undefined length at byte {base + at}")
        else:
            # Which encoding is in the item shows only with its first element.
            self._open.append(_Level("item", None))
        return tag, value, 0

    @property
    def _awaits_items(self) -> bool:
        return bool(self._open) and self._open[-1].kind != "item"

    def enter(self, tag: int, vr: bytes, at: int) -> None:
        """Go into a value of undefined length, whose header at stream offset `at` has been read."""
        if len(self._open) >= 2 * MAX_DEPTH:
            raise Malformed(f"sequences are nested deeper than {MAX_DEPTH} levels at byte {at}")
        level = self._open[-1] if self._open else None
        encoding = (level.encoding if level else None) or self._encoding
        if holds_fragments(tag, vr, at):
            self._open.append(_Level("fragments", encoding))
        else:
            self._open.append(_Level("sequence", encoding.inside(vr)))

    def _here(self, data: Buffer, at: int, end: int) -> Encoding:
        if not self._open:
            return self._encoding
        level = self._open[-1]
        if level.encoding is None:
            around = self._open[-2].encoding
            assert around is not None
            level.encoding = around.of_item(data, at, end)
        return level.encoding


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
        inner = encoding.of_item(data, value, end)
        if length == UNDEFINED:
            after = _end_of_item(data, value, end, inner, base)
            yield Item(value, after - HEADER, inner)
        else:
            after = value + length
            if after > end:
                raise Malformed(f"an item at byte {base + at} points past the end of its sequence")
            yield Item(value, after, inner)
        at = after


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
    tag, after, length = encoding.items.header(data, at, end, base)
    if tag != ITEM_END or length:
        raise Malformed(f"an item or a delimiter at byte {base + at} where an element should be")
    return after
