"""Private blocks of one group in one data set: which creator reserved each, and what of it is kept (PS3.5 §7.8.1)."""

from typing import Final

from mdm_async.dicom.elements import UNDEFINED, Buffer, Encoding
from mdm_async.dicom.items import HEADER, ITEM
from mdm_async.dicom.scrubbing.step import Step, StepKind
from mdm_async.dicom.scrubbing.step_book import StepBook
from mdm_async.dicom.scrubbing.steps import NOT_LOOKED_INTO, ORPHAN

_CREATOR_VRS: Final = frozenset((b"LO", b"UN", b""))
_NOT_ITEMS: Final = Step(0x00090000, b"", StepKind.DROP, NOT_LOOKED_INTO)


class PrivateBlocks:
    """Filled by `survey` with every element of the group, before a step is asked for."""

    def __init__(self, book: StepBook) -> None:
        self._book = book
        self._creators: dict[int, str] = {}
        """By block number; "" when it was reserved twice, since readers would differ in whose it is."""
        self._kept: set[int] = set()
        self.found: dict[Step, int] = {}
        """How many elements of blocks get each step."""
        self._opened: set[int] = set()

    def survey(
        self, data: bytes, tag: int, vr: bytes, value: int, length: int, end: int, encoding: Encoding
    ) -> None:
        """Take note of an element, in file order."""
        number = tag & 0xFFFF
        if 0x10 <= number <= 0xFF:
            creator = _text(data[value:end]) if vr in _CREATOR_VRS and length != UNDEFINED else ""
            self._creators[number] = creator if self._creators.get(number, creator) == creator else ""
            return
        found = self._step(data, tag, vr, value, length, encoding)
        self.found[found] = self.found.get(found, 0) + 1
        if found.kind is not StepKind.DROP:
            self._kept.add(number >> 8)

    @property
    def kept(self) -> bool:
        """Whether anything is, so that the elements have to be gone through again."""
        return bool(self._kept)

    def creator(self, tag: int) -> bytes:
        """What the element that reserves a block is written with; empty when nothing of the block is kept.

        From here on the block's elements are the creator's; before, they are nobody's.
        """
        number = tag & 0xFFFF
        again = number in self._opened
        self._opened.add(number)
        return b"" if again or number not in self._kept else self._creators[number].encode()

    def step_of(self, data: bytes, tag: int, vr: bytes, value: int, length: int, encoding: Encoding) -> Step:
        """What happens to an element of a block; one that nobody has reserved is removed."""
        if (tag & 0xFFFF) >> 8 not in self._opened:
            return ORPHAN
        return self._step(data, tag, vr, value, length, encoding)

    def _step(self, data: bytes, tag: int, vr: bytes, value: int, length: int, encoding: Encoding) -> Step:
        creator = self._creators.get((tag & 0xFFFF) >> 8)
        if not creator:
            return ORPHAN
        found = self._book.private(creator, tag, vr)
        if found.kind in (StepKind.ENTER, StepKind.CLEAN) and length:
            inside = encoding.inside(vr)
            if not (length == UNDEFINED or _begins_with_item(data, value, length, inside)):
                return _NOT_ITEMS
        return found


def _begins_with_item(data: Buffer, at: int, length: int, encoding: Encoding) -> bool:
    if length < HEADER or not encoding.items.is_at(data, at):
        return False
    return encoding.items.header(data, at, at + length)[0] == ITEM


def _text(value: bytes) -> str:
    """A creator's name without padding; "" when it is not in ASCII, since none that is known is."""
    try:
        return value.decode("ascii").strip("\0 ")
    except UnicodeDecodeError:
        return ""
