"""Copy an encoded data set, scrubbed: kept bytes verbatim in runs as long as may be, changed values made anew.

Encoded elements are walked, not decoded. Where nothing changes, the headers of sequences and items are part of the run
too; so the cost is per element, and heads of tens of megabytes (enhanced multi-frame) take seconds.
"""

from collections.abc import Iterator
from typing import Final

from mdm_async.dicom import encode
from mdm_async.dicom.dictionary import vr_of
from mdm_async.dicom.elements import PIXEL_TAGS, UNDEFINED, Encoding
from mdm_async.dicom.filemeta import uid_text
from mdm_async.dicom.items import HEADER, ITEM, SEQUENCE_END
from mdm_async.dicom.pixels import faces, ultrasound
from mdm_async.dicom.pixels.description import EXTENDED_TABLE, FRAMES, WATCHED_BYTES, Description, watched
from mdm_async.dicom.pixels.layout import whole_number
from mdm_async.dicom.scrubbing.code_items import CODE_VALUE, LAST, CodeItems, Judged
from mdm_async.dicom.scrubbing.graphics import shows_region
from mdm_async.dicom.scrubbing.private_blocks import PrivateBlocks
from mdm_async.dicom.scrubbing.replacing import Replacing
from mdm_async.dicom.scrubbing.step import SOP_INSTANCE, Step, StepKind
from mdm_async.dicom.scrubbing.step_book import StepBook, StepTable
from mdm_async.dicom.scrubbing.steps import (
    BURNED_IN,
    CODE_TAGS,
    CONTENT,
    EMPTY_BLOCK,
    FRAGMENTS,
    NAMES_BLOCK,
    NO_REGION,
    TOP,
    UNKNOWN_CONTENT,
    Where,
)
from mdm_async.dicom.scrubbing.structured import is_known_content
from mdm_async.dicom.walking import MAX_DEPTH, is_padding, skip_undefined, walk
from mdm_async.errors import Malformed

_NEVER: Final = 1 << 32
"""Above every tag."""
_MOST_KINDS: Final = 1 << 16
"""Tags and VRs in one data set; files have some hundreds."""
_MOST_PASSES: Final = 16
"""Through one byte, to find where the sequences end that it is in; private ones stand in others two or three deep."""
_VERBATIM: Final = (StepKind.COPY, StepKind.RESTATE)
"""Steps that may copy a value."""

Done = dict[int, Step]
"""What was done to the element, or to the item that is gone, at each offset of a buffer."""

# A name is looked up in a tenth of the time that a member of an enumeration takes.
_COPY, _DROP, _ENTER = StepKind.COPY, StepKind.DROP, StepKind.ENTER
_CLEAN, _CODE, _ITEM_END = StepKind.CLEAN, StepKind.CODE, StepKind.ITEM_END
_PADDING, _PRIVATE, _OVERLAY = StepKind.PADDING, StepKind.PRIVATE, StepKind.OVERLAY


class Copier:
    """Copies one buffer's data set, scrubbed, to `out`."""

    def __init__(
        self,
        data: bytes,
        encoding: Encoding,
        book: StepBook,
        replacing: Replacing,
        codes: CodeItems,
        about: Description,
        additions: list[tuple[int, bytes]],
        replaced: frozenset[int],
        done: Done | None = None,
    ) -> None:
        """`additions` are (tag, encoded element) to be written, ascending; top-level `replaced` ones are left out.

        `done` is filled with what is done where, for who wants to tell of it.
        """
        self.out = bytearray()
        self.about = about
        self.instance = b""
        """The SOP Instance UID."""
        self.burned_in = b""
        """Burned In Annotation as it would be written: not in `out`, since what it says depends on the pixels too."""
        self.extended_table = b""
        """The Extended Offset Table: not in `out` either, since it stays only if it is that of the pixels."""
        self.places: dict[int, int] = {}
        """Where in `out` each addition begins."""
        self.pixels_seen = False
        self.touched: dict[Step, int] = {}
        self._done = done
        self._data = data
        self._view = memoryview(data)
        self._encoding = encoding
        self._book = book
        self._replacing = replacing
        self._additions = additions
        self._replaced = replaced
        self._aside = replaced | EXTENDED_TABLE | {BURNED_IN, FRAMES}
        self._run = 0
        """What begins here was read but not yet written: it is to be copied as it is."""
        self._unclean: list[int] = []
        """Where in what was read, but not yet written, two bytes of a header are reserved and yet say something."""
        self._kinds = 0
        self._codes = codes
        self._code: dict[int, Judged] = {}
        self._anatomy_end = 0
        self._passed = 0
        """Bytes of values of undefined length that were gone through to find their ends."""
        self._code_end = 0
        """Up to here the parts of a code have been judged together."""

    def top_level(self, at: int) -> None:
        """Copy the outermost data set from this offset to the buffer's end, with the additions in their places."""
        self._run = at
        self._data_set(at, len(self._data), self._encoding, 0, TOP, closed=False)
        self._flush(len(self._data), len(self._data))
        self._add_before(_NEVER)

    def _data_set(
        self, at: int, end: int, encoding: Encoding, depth: int, where: Where, *, closed: bool
    ) -> int:
        """Go through a data set; the offset after it, and after its delimiter if it is `closed` by one."""
        data, touched, done = self._data, self.touched, self._done
        table = self._book.table(encoding, where)
        known, unpack, u32 = table.known.get, table.beginning.unpack_from, encoding.u32.unpack_from
        aside = self._aside
        next_addition = self._additions[0][0] if self._additions and not depth else _NEVER
        while at < end:
            if end - at < 8:
                if not depth and is_padding(data, at, end):
                    self._flush(at, end)
                    break
                raise Malformed(f"an element header is cut short at byte {at}")
            beginning, length = unpack(data, at)
            here = known(beginning) or self._meet(table, at, end)
            value = at + 8
            if here.long:
                if end - at < 12:
                    raise Malformed(f"an element header is cut short at byte {at}")
                if length:  # where nothing should be
                    self._unclean.append(at + 6)
                value, length = at + 12, u32(data, value)[0]
            after = value + length
            if after > end and length != UNDEFINED and here.kind is not _ITEM_END:
                raise Malformed(f"a length at byte {at} points past the end of its container")
            if not depth:
                if here.tag >= next_addition:
                    self._flush(at, at)
                    next_addition = self._add_before(here.tag)
                if here.watched:
                    self._watch(here.tag, at, value, length, end, encoding, deep=False)
                if here.tag in aside:
                    at = self._set_aside(here, at, value, length, end, encoding)
                    continue
            elif here.watched_deep:
                self._watch(here.tag, at, value, length, end, encoding, deep=True)
            kind = here.kind
            if kind is _COPY and length != UNDEFINED:
                if (check := here.check) is not None and not check(data, value, after):
                    self._apply(here.otherwise or FRAGMENTS, at, value, length, end, encoding, depth, where)
                    at = after
                    continue
                touched[here] = touched.get(here, 0) + 1
                if done is not None:
                    done[at] = here
                at = after
            elif kind is _DROP and length != UNDEFINED:
                self._drop(here, at, after)
                at = after
            elif kind is _ENTER:
                self._count(here, at)
                at = self._sequence(here, value, length, end, encoding, depth, where)
            elif kind is _ITEM_END:
                if not closed:
                    raise Malformed(f"an item or a delimiter at byte {at} where an element should be")
                self._delimit(encoding.items.item_end, at)
                return value
            elif kind is _PADDING:
                if depth or not is_padding(data, at, end):
                    raise Malformed(f"zeros at byte {at} where an element should be")
                self._flush(at, end)
                at = end
            elif kind is _PRIVATE:
                at = self._private_group(here.tag >> 16, at, end, encoding, depth, where)
            elif kind is _OVERLAY:
                at = self._overlay_group(here.tag >> 16, at, end, encoding, depth, where)
            else:
                at = self._apply(here, at, value, length, end, encoding, depth, where)
        if closed:
            raise Malformed(f"an item has no delimiter before byte {end}")
        return end

    def _sequence(
        self,
        here: Step,
        value: int,
        length: int,
        end: int,
        around: Encoding,
        depth: int,
        where: Where,
    ) -> int:
        """Go through a sequence whose items begin at `value`; the lengths that change are made right."""
        if depth >= MAX_DEPTH:
            raise Malformed(f"sequences are nested deeper than {MAX_DEPTH} levels at byte {value}")
        data, out, undefined = self._data, self.out, length == UNDEFINED
        if here.kind is _CLEAN or here.members is not where.members:
            where = Where(where.cleaned or here.kind is _CLEAN, here.members)
        encoding = around.inside(here.written)
        reader, of_item = encoding.items, encoding.of_item
        # A byte that is copied from offset x comes to lie at x + moved, until something changes.
        moved = len(out) - self._run
        counted, item_at, item_out = self.touched, value, 0
        judged = where.cleaned and here.tag == CONTENT
        at, stop = value, end if undefined else value + length
        while at < stop:
            tag, first, item_length = reader.header(data, at, stop)
            if tag == SEQUENCE_END and undefined:
                self._delimit(reader.sequence_end, at)
                return first
            if tag != ITEM:
                raise Malformed(f"neither an item nor a delimiter at byte {at}")
            if judged:
                self._flush(at, at)
                item_at, item_out, counted, self.touched = at, len(out), self.touched, {}
            if item_length == UNDEFINED:
                inner = of_item(data, first, stop)
                at = self._data_set(first, stop, inner, depth + 1, where, closed=True)
            elif item_length > stop - first:
                raise Malformed(f"an item at byte {at} points past the end of its sequence")
            else:
                item_moved, at = len(out) - self._run, first + item_length
                inner = of_item(data, first, at)
                self._data_set(first, at, inner, depth + 1, where, closed=False)
                if grown := len(out) - self._run - item_moved:
                    reader.write_length(out, first + item_moved, item_length + grown)
            if judged:
                inside, self.touched = self.touched, counted
                content_end = at - (HEADER if item_length == UNDEFINED else 0)
                if is_known_content(data, first, content_end, inner):
                    for step, count in inside.items():
                        counted[step] = counted.get(step, 0) + count
                else:
                    del out[item_out:]
                    self._run = at
                    self._count(UNKNOWN_CONTENT, item_at)
        if undefined:
            raise Malformed(f"a sequence has no delimiter before byte {stop}")
        if grown := len(out) - self._run - moved:
            around.u32.pack_into(out, value - 4 + moved, length + grown)
        return stop

    def _apply(
        self,
        here: Step,
        at: int,
        value: int,
        length: int,
        end: int,
        encoding: Encoding,
        depth: int,
        where: Where,
    ) -> int:
        """Do what the step says to the element at `at`; the offset after it."""
        kind, data = here.kind, self._data
        if value - at == 12 and data[at + 6 : at + 8] != b"\0\0":
            self._unclean.append(at + 6)
        if kind is _ENTER or kind is _CLEAN or (length == UNDEFINED and here.holds_items_if_undefined):
            self._count(here, at)
            return self._sequence(here, value, length, end, encoding, depth, where)
        if length == UNDEFINED:
            after = skip_undefined(data, here.tag, here.written, value, end, encoding)
            if kind in _VERBATIM or kind is _CODE:
                here, kind = FRAGMENTS, _DROP
        else:
            after = value + length
        if kind is _CODE:
            return self._part_of_code(here, at, value, after, end, encoding)
        if kind in _VERBATIM and here.check is not None and not here.check(data, value, after):
            here = here.otherwise or FRAGMENTS
            kind = here.kind
        self._count(here, at)
        if kind is _COPY:
            return after
        self._flush(at, after)
        if kind is not _DROP:
            new = self._replacing.value(here, data[value:after], encoding, nested=depth > 0)
            if new is not None:
                self.out += encode.element(here.tag, here.vr, new, encoding)
        return after

    def _part_of_code(self, here: Step, at: int, value: int, after: int, end: int, encoding: Encoding) -> int:
        """Do what is judged of a code to the part of it at `at`; the offset after it."""
        if at >= self._code_end:
            self._judge_code(at, end, encoding)
        step, new = self._code[here.tag]
        self._count(step, at)
        if step.kind is _COPY and here.written in (b"", b"UN", here.vr):
            return after
        self._flush(at, after)
        if step.kind is not _DROP:
            self.out += encode.element(here.tag, here.vr, new, encoding)
        return after

    def _judge_code(self, at: int, end: int, encoding: Encoding) -> None:
        """Have the parts of the code that begins here judged together; what lies between them goes on as it would."""
        data, parts = self._data, []
        while at < end and not encoding.items.is_at(data, at):
            tag, vr, value, length = encoding.header(data, at, end)
            # Codes inside of others are codes of their own.
            if not CODE_VALUE <= tag <= LAST or length == UNDEFINED or b"SQ" in (vr, vr_of(tag)):
                break
            at = value + length
            if tag in CODE_TAGS:
                parts.append((tag, bytes(data[value:at]).strip(b"\0 ")))
        self._code, self._code_end = self._codes.judged(tuple(parts)), at

    def _private_group(
        self, group: int, at: int, end: int, encoding: Encoding, depth: int, where: Where
    ) -> int:
        """Go through the elements of a private group that follow each other; the offset after them."""
        data, blocks, start = self._data, PrivateBlocks(self._book), at
        for tag, vr, _, value, length, after in self._group(group, at, end, encoding):
            blocks.survey(data, tag, vr, value, length, after, encoding)
            at = after
        if not blocks.kept and self._done is None:
            for step, count in blocks.found.items():
                self.touched[step] = self.touched.get(step, 0) + count
            self._flush(start, at)
            return at
        for tag, vr, before, value, length, after in self._group(group, start, end, encoding):
            if 0x10 <= tag & 0xFFFF <= 0xFF:
                self._flush(before, after)
                if creator := blocks.creator(tag):
                    self.out += encode.element(tag, b"LO", creator, encoding)
                if self._done is not None:
                    self._done[before] = NAMES_BLOCK if creator else EMPTY_BLOCK
                continue
            here = blocks.step_of(data, tag, vr, value, length, encoding)
            if here.kind is _DROP:
                self._drop(here, before, after)
            else:
                self._apply(here, before, value, length, end, encoding, depth, where)
        return at

    def _overlay_group(
        self, group: int, at: int, end: int, encoding: Encoding, depth: int, where: Where
    ) -> int:
        """Go through an overlay's group, which is kept when it shows a region of interest; the offset after it."""
        data = self._data
        region = shows_region(
            (
                (tag, data[value:after])
                for tag, _, _, value, _, after in self._group(group, at, end, encoding)
            ),
            encoding,
        )
        for tag, vr, before, value, length, after in self._group(group, at, end, encoding):
            if not depth and watched(tag):
                self._note(tag, value, length)
            here = self._book.overlay(tag, vr) if region else NO_REGION
            if here.kind is _DROP:
                self._drop(here, before, after)
            else:
                self._apply(here, before, value, length, end, encoding, depth, where)
            at = after
        return at

    def _group(
        self, group: int, at: int, end: int, encoding: Encoding
    ) -> Iterator[tuple[int, bytes, int, int, int, int]]:
        """(tag, VR, offset, value offset, length, offset after it) of the group's elements that follow each other."""
        start = encoding.u16.pack(group)
        while at < end and self._data.startswith(start, at):
            tag, vr, value, length = encoding.header(self._data, at, end)
            if length == UNDEFINED:
                after = skip_undefined(self._data, tag, vr, value, end, encoding)
                self._passed += after - value
                if self._passed > _MOST_PASSES * len(self._data):
                    raise Malformed(f"private groups are nested in each other too deep at byte {at}")
            else:
                after = value + length
                if after > end:
                    raise Malformed(f"a length at byte {at} points past the end of its container")
            yield tag, vr, at, value, length, after
            at = after

    def _set_aside(self, here: Step, at: int, value: int, length: int, end: int, encoding: Encoding) -> int:
        """Leave out a top-level element that is replaced, or written only once the pixels are known."""
        self._flush(at, at)
        if here.tag in EXTENDED_TABLE and length != UNDEFINED:
            self._count(here, at)
            self._run = value + length
            vr = vr_of(here.tag) or b"UN"
            self.extended_table += encode.element(here.tag, vr, self._data[value : self._run], encoding)
            return self._run
        if here.tag == FRAMES and here.tag not in self._replaced:
            return self._number_of_frames(here, at, value, length, end, encoding)
        start = len(self.out)
        at = self._apply(here, at, value, length, end, encoding, 0, TOP)
        self._flush(at, at)
        if here.tag == BURNED_IN:
            self.burned_in += self.out[start:]
        del self.out[start:]
        return at

    def _number_of_frames(
        self, here: Step, at: int, value: int, length: int, end: int, encoding: Encoding
    ) -> int:
        """Without the decimal point that some writers give it; all else as its rule says."""
        said = uid_text(bytes(self._data[value : value + min(length, WATCHED_BYTES)]))
        right = whole_number(said)
        if right == said or here.kind is not _COPY:
            return self._apply(here, at, value, length, end, encoding, 0, TOP)
        self._count(here, at)
        self._run = value + length
        self.out += encode.element(FRAMES, b"IS", right.encode(), encoding)
        return self._run

    def _add_before(self, tag: int) -> int:
        """Write the additions that come before this tag; the tag of the next one."""
        while self._additions and self._additions[0][0] <= tag:
            added, encoded = self._additions.pop(0)
            self.places[added] = len(self.out)
            self.out += encoded
        return self._additions[0][0] if self._additions else _NEVER

    def _meet(self, table: StepTable, at: int, end: int) -> Step:
        """The step of an element of a kind that was not remembered, or has to be read each time."""
        self._kinds += table.beginning.unpack_from(self._data, at)[0] not in table.doubtful
        if self._kinds > _MOST_KINDS:
            raise Malformed(f"more than {_MOST_KINDS} kinds of elements by byte {at}")
        return table.meet(self._data, at, end)

    def _delimit(self, delimiter: bytes, at: int) -> None:
        """Copy the delimiter at `at`, without the length that it should not have: that could be text."""
        if not self._data.startswith(delimiter, at):
            self._flush(at, at + HEADER)
            self.out += delimiter

    def _count(self, here: Step, at: int) -> None:
        self.touched[here] = self.touched.get(here, 0) + 1
        if self._done is not None:
            self._done[at] = here

    def _drop(self, here: Step, at: int, after: int) -> None:
        self._count(here, at)
        self._flush(at, after)

    def _flush(self, upto: int, resume: int) -> None:
        """Write what was to be copied up to one offset; go on copying at another."""
        if self._run < upto:
            moved = len(self.out) - self._run
            self.out += self._view[self._run : upto]
            for at in self._unclean:
                if self._run <= at < upto:
                    self.out[at + moved : at + moved + 2] = b"\0\0"
        if self._unclean:
            self._unclean = [at for at in self._unclean if at >= resume]
        self._run = resume

    def _watch(
        self, tag: int, at: int, value: int, length: int, end: int, encoding: Encoding, *, deep: bool
    ) -> None:
        if tag not in (ultrasound.REGIONS, faces.ANATOMY):
            self._note(tag, value, length)
            return
        if at < self._anatomy_end:
            return  # inside one that has been looked at
        sequence = next(walk(self._data, at, end, encoding))
        if tag == faces.ANATOMY:
            self._anatomy_end = sequence.end
            anatomy = self.about.frame_anatomy if deep else self.about.anatomy
            anatomy.update(faces.codes(self._data, sequence, encoding))
        else:
            self.about.ultrasound_regions.append(ultrasound.read(self._data, sequence, encoding))

    def _note(self, tag: int, value: int, length: int) -> None:
        if tag in PIXEL_TAGS:
            self.pixels_seen = True
        elif tag == SOP_INSTANCE:
            self.instance = self._data[value : value + min(length, WATCHED_BYTES)].strip(b"\0 ")
        else:
            self.about.note(tag, self._data[value : value + min(length, WATCHED_BYTES)])
