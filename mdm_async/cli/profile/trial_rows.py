"""What becomes of each attribute of one data set: the rules beside the original, and what scrubbing made of it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from pydicom.datadict import dictionary_description
from pydicom.tag import Tag

from mdm_async.cli.profile.trial_values import Values
from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import UNDEFINED, Element, Encoding, Item, items, walk
from mdm_async.dicom.profile import Action, Profile, Rule
from mdm_async.dicom.scrubbing.graphics import shows_region
from mdm_async.dicom.scrubbing.private_blocks import PrivateBlocks
from mdm_async.dicom.scrubbing.step_book import StepBook, book_of
from mdm_async.dicom.scrubbing.steps import CONTENT, NO_REGION, SCHEME, Step, StepKind, step_of
from mdm_async.dicom.scrubbing.structured import PUBLIC_SCHEMES, is_known_content
from mdm_async.errors import Malformed

ADDED: Final = "+"
_CREATORS: Final = range(0x10, 0x100)
_EMPTY_BLOCK: Final = Rule(Action.REMOVE, "nothing of the block is kept")


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


def compare(before: DataSet, after: DataSet | None, profile: Profile) -> Iterator[Row]:
    """A row for each element at any depth, in file order; of what is removed nothing inside.

    `after` is what scrubbing made of `before`, None when that is not known.
    """
    return _rows(before, after, book_of(profile), 0, cleaned=False)


def _rows(
    before: DataSet, after: DataSet | None, book: StepBook, depth: int, *, cleaned: bool
) -> Iterator[Row]:
    """`cleaned`: inside a sequence that is kept for what can be cleaned of it."""
    made = {} if after is None else {element.tag: element for element in after.elements()}
    added = sorted(made.keys() - {element.tag for element in before.elements()})
    for element, here in _steps(before, book, cleaned=cleaned):
        while after is not None and added and added[0] < element.tag:
            yield _added(after, made[added.pop(0)], depth)
        out = made.get(element.tag)
        entered = here.kind in (StepKind.ENTER, StepKind.CLEAN) or (
            element.undefined and here.holds_items_if_undefined
        )
        unchanged = not entered and _same(before, element, after, out)
        published = here.kind in (StepKind.SCHEME, StepKind.CODE, StepKind.MEANING) and _is_published(before)
        yield Row(
            depth=depth,
            tag=_tag(element.tag),
            name=_name(element.tag),
            vr=_vr(element).decode(),
            action="K" if published else here.letter,
            because="code of a published scheme" if published else here.because,
            before=before.text(element),
            after=None if after is None or out is None else after.text(out),
            unchanged=unchanged,
            known=after is not None,
        )
        if entered and (out is not None or after is None):
            inside = cleaned or here.kind is StepKind.CLEAN
            yield from _inside(before, element, after, out, book, depth + 1, cleaned=inside)
    for tag in added:
        assert after is not None
        yield _added(after, made[tag], depth)


def _is_published(code: DataSet) -> bool:
    """Whether a code's scheme is one whose meanings are published: then the code stays as it is."""
    schemes = {code.bytes_of(element).strip(b"\0 ") for element in code.elements() if element.tag == SCHEME}
    return bool(schemes) and schemes <= PUBLIC_SCHEMES


def _inside(
    before: DataSet,
    sequence: Element,
    after: DataSet | None,
    out: Element | None,
    book: StepBook,
    depth: int,
    *,
    cleaned: bool,
) -> Iterator[Row]:
    """The rows of a sequence's items."""
    left = iter(after.items(out) if after is not None and out is not None else ())
    for item in before.items(sequence):
        gone = cleaned and sequence.tag == CONTENT
        if gone and not is_known_content(before.data, item.start, item.end, item.encoding):
            yield Row(
                depth, "item", "content item", "", "X", "unknown value type", "", None, after is not None
            )
            continue
        made = next(left, None)
        counterpart = after.at(made) if after is not None and made is not None else None
        yield from _rows(before.at(item), counterpart, book, depth, cleaned=cleaned)


def _steps(data_set: DataSet, book: StepBook, *, cleaned: bool) -> Iterator[tuple[Element, Step]]:
    """Each element with what scrubbing does to it, which of private and overlay groups depends on the whole group."""
    for _, elements in groupby(data_set.elements(), lambda element: element.tag >> 16):
        found = [
            (element, step_of(element.tag, element.vr, book.profile, cleaned=cleaned)) for element in elements
        ]
        steps = {here.kind for _, here in found}
        if StepKind.PRIVATE in steps:
            yield from _of_private_group(data_set, [element for element, _ in found], book)
        elif StepKind.OVERLAY in steps:
            region = shows_region(
                ((element.tag, data_set.bytes_of(element)) for element, _ in found), data_set.encoding
            )
            for element, _ in found:
                yield element, book.overlay(element.tag, element.vr) if region else NO_REGION
        else:
            yield from found


def _of_private_group(
    data_set: DataSet, elements: list[Element], book: StepBook
) -> Iterator[tuple[Element, Step]]:
    blocks, data, encoding = PrivateBlocks(book), data_set.data, data_set.encoding
    for each in elements:
        length = UNDEFINED if each.undefined else each.length
        blocks.survey(data, each.tag, each.vr, each.value, length, each.end, encoding)
    for each in elements:
        length = UNDEFINED if each.undefined else each.length
        if each.tag & 0xFFFF in _CREATORS:
            rule = Rule(Action.KEEP, "names a block") if blocks.creator(each.tag) else _EMPTY_BLOCK
            yield each, Step(each.tag, each.vr, StepKind.COPY, rule)
        else:
            yield each, blocks.step_of(data, each.tag, each.vr, each.value, length, encoding)


def _same(before: DataSet, old: Element, after: DataSet | None, new: Element | None) -> bool:
    return after is not None and new is not None and before.bytes_of(old) == after.bytes_of(new)


def _added(after: DataSet, element: Element, depth: int) -> Row:
    because = "said of every de-identified image"
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
