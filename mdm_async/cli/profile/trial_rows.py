"""What becomes of each attribute of one data set: the rules beside the original, and what scrubbing made of it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from pydicom.datadict import dictionary_description
from pydicom.tag import Tag

from mdm_async.cli.profile.trial_values import Values
from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import Encoding
from mdm_async.dicom.items import HEADER
from mdm_async.dicom.scrub import Done
from mdm_async.dicom.scrubbing.step import StepKind
from mdm_async.dicom.scrubbing.steps import ADDED as SAID_ANEW
from mdm_async.dicom.walking import Element, Item, items, walk
from mdm_async.errors import Malformed

_OF_PIXELS: Final = 0x0028
"""The group that describes them, of which decoding and blanking may say more."""
ADDED: Final = "+"


@dataclass(frozen=True, slots=True)
class Row:
    """One element, or with the action `ADDED` one that scrubbing says anew."""

    depth: int
    tag: str
    name: str
    vr: str
    action: str
    """The letter of PS3.15 Table E.1-1a, S, or `ADDED`."""
    because: str
    before: str | None
    """The original value as text; None of what was added."""
    after: str | None
    """The value that comes out; None when nothing does."""
    unchanged: bool = False
    """Whether the very value comes out; of what is gone into not told."""
    known: bool = True
    """Whether what comes out is known: not of what follows the pixels of an image that is refused."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """Where a data set lies in its buffer, and how it is written."""

    data: bytes
    start: int
    end: int
    encoding: Encoding
    values: Values

    def elements(self) -> Iterator[Element]:
        return walk(self.data, self.start, self.end, self.encoding)

    def bytes_of(self, element: Element) -> bytes:
        return self.data[element.value : element.value + element.length]

    def items(self, sequence: Element) -> list[Item]:
        return list(items(self.data, sequence, self.encoding))

    def at(self, item: Item) -> "DataSet":
        return DataSet(self.data, item.start, item.end, item.encoding, self.values)

    def text(self, element: Element) -> str:
        if _vr(element) == b"SQ":
            with suppress(Malformed):  # as what is removed may be
                count = len(self.items(element))
                return "1 item" if count == 1 else f"{count} items"
        return self.values.text(_vr(element), self.bytes_of(element), self.encoding)


def compare(before: DataSet, after: DataSet | None, done: Done) -> Iterator[Row]:
    """A row for each element at any depth, in file order; of what is removed nothing inside.

    `after` is what scrubbing made of `before`, None when that is not known; `done` what it did where, as far as it
    came.
    """
    return _rows(before, after, done, 0)


def _rows(before: DataSet, after: DataSet | None, done: Done, depth: int) -> Iterator[Row]:
    made = {} if after is None else {element.tag: element for element in after.elements()}
    added = sorted(made.keys() - {element.tag for element in before.elements()})
    for element in before.elements():
        here = done.get(element.start)
        if here is None:
            return
        while after is not None and added and added[0] < element.tag:
            yield _added(after, made[added.pop(0)], depth)
        out = made.get(element.tag)
        entered = here.kind in (StepKind.ENTER, StepKind.CLEAN) or (
            element.undefined and here.holds_items_if_undefined
        )
        yield Row(
            depth=depth,
            tag=_tag(element.tag),
            name=_name(element.tag),
            vr=_vr(element).decode(),
            action=here.letter,
            because=here.because,
            before=before.text(element),
            after=None if after is None or out is None else after.text(out),
            unchanged=not entered and _same(before, element, after, out),
            known=after is not None,
        )
        if entered and (out is not None or after is None):
            yield from _inside(before, element, after, out, done, depth + 1)
    for tag in added:
        assert after is not None
        yield _added(after, made[tag], depth)


def _inside(
    before: DataSet, sequence: Element, after: DataSet | None, out: Element | None, done: Done, depth: int
) -> Iterator[Row]:
    """The rows of a sequence's items."""
    left = iter(after.items(out) if after is not None and out is not None else ())
    for item in before.items(sequence):
        if (gone := done.get(item.start - HEADER)) is not None:
            because = gone.because
            yield Row(depth, "item", "content item", "", gone.letter, because, "", None, after is not None)
            continue
        made = next(left, None)
        counterpart = after.at(made) if after is not None and made is not None else None
        yield from _rows(before.at(item), counterpart, done, depth)


def _same(before: DataSet, old: Element, after: DataSet | None, new: Element | None) -> bool:
    return after is not None and new is not None and before.bytes_of(old) == after.bytes_of(new)


def _added(after: DataSet, element: Element, depth: int) -> Row:
    because = (
        "said of every de-identified image"
        if element.tag in SAID_ANEW or element.tag >> 16 == _OF_PIXELS
        else "added by the profile"
    )
    text = after.text(element)
    return Row(
        depth, _tag(element.tag), _name(element.tag), _vr(element).decode(), ADDED, because, None, text
    )


def _vr(element: Element) -> bytes:
    """The VR that is written or, where none is or UN, what the dictionary says."""
    return element.vr if element.vr not in (b"", b"UN") else vr_of(element.tag) or b"UN"


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _name(tag: int) -> str:
    if tag >> 16 & 1:
        return "private"
    try:
        name: str = dictionary_description(Tag(tag))
    except KeyError:
        return "unknown" if tag & 0xFFFF else "Group Length"
    return name
