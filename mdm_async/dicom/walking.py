"""Walk through data sets, sequences, items and fragments by their headers (PS3.5 §7.5, §A.4).

Everything here works on offsets into one buffer. Each length is checked against its container; what does not fit is
`Malformed`, with the offset in bytes at which it was found (`base` is added where the buffer is part of a stream).
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from mdm_async.dicom.elements import IN_UN, PIXEL_TAGS, UNDEFINED, Buffer, Encoding
from mdm_async.dicom.items import HEADER, ITEM, ITEM_END, SEQUENCE_END
from mdm_async.errors import Malformed

MAX_DEPTH: Final = 64
"""Sequences inside sequences; real files stay below ten."""

_BULK_VRS: Final = frozenset(b"OB OD OF OL OV OW".split())
_ZEROS: Final = bytes(8)


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


def walk(
    data: Buffer, at: int, end: int, encoding: Encoding, base: int = 0, last: int = 0xFFFFFFFF
) -> Iterator[Element]:
    """The elements of one data set, in file order, not going into sequences.

    `last`: at the first of a higher tag the walk ends, however long it is.
    """
    while at < end:
        if data[at : at + 8] == _ZEROS[: end - at]:
            if not is_padding(data, at, end):
                # Going on would be to ask the same at each eight of them.
                raise Malformed(f"zeros at byte {base + at} where an element should be")
            return
        header = encoding.header(data, at, end, base)
        if header[0] > last:
            return
        element = _element(data, at, end, encoding, base, header)
        yield element
        at = element.end


def opened(data: Buffer, at: int, end: int, encoding: Encoding) -> Element:
    """The element at `at`. One of undefined length is as if it went on to `end`: nothing of it is looked at."""
    tag, vr, value, length = encoding.header(data, at, end)
    if length == UNDEFINED:
        return Element(tag, vr, at, value, end - value, end, True)
    if length > end - value:
        raise Malformed(f"a length at byte {at} points past the end of its container")
    return Element(tag, vr, at, value, length, value + length, False)


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


def is_padding(data: Buffer, at: int, end: int) -> bool:
    """Whether there are only zeros from here on, with which some writers fill up their files."""
    return data[at : at + 8] == _ZEROS[: end - at] and not bytes(data[at:end]).strip(b"\0")


def _element(
    data: Buffer, at: int, end: int, encoding: Encoding, base: int, header: tuple[int, bytes, int, int]
) -> Element:
    tag, vr, value, length = header
    if length == UNDEFINED:
        after = skip_undefined(data, tag, vr, value, end, encoding, base)
        return Element(tag, vr, at, value, after - value - HEADER, after, True)
    if length > end - value:
        raise Malformed(f"a length at byte {base + at} points past the end of its container")
    return Element(tag, vr, at, value, length, value + length, False)


def _end_of_item(data: Buffer, at: int, end: int, encoding: Encoding, base: int) -> int:
    """The offset after the delimiter of an item of undefined length."""
    while not encoding.items.is_at(data, at):
        at = _element(data, at, end, encoding, base, encoding.header(data, at, end, base)).end
    tag, after, _ = encoding.items.header(data, at, end, base)
    if tag != ITEM_END:
        raise Malformed(f"an item or a delimiter at byte {base + at} where an element should be")
    return after
