"""Where the frames of a view lie among its bytes, found by a few small reads, whatever lies between.

Native frames by arithmetic. Encapsulated ones by the index that was made when they were stored. Of images without one
by an offset table, which is believed when it ascends and, of what is asked for, is right: items follow one another
from where it says that a frame begins to where the next one does. Without such a table by the headers of all
fragments, as long as those are few.
"""

import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import Final

from mdm_async.blobs.store import BlobStore
from mdm_async.dicom.elements import UNDEFINED, Encoding
from mdm_async.dicom.items import HEADER, ITEM, SEQUENCE_END
from mdm_async.dicom.part10 import Kind
from mdm_async.dicom.pixels.frame_places import NUMBER
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.placed import PIXELS_HEADER, Placed
from mdm_async.errors import Malformed, NotAcceptable, NotFound, ScrubRefused, TooLarge
from mdm_async.images.reading import stream
from mdm_async.images.reading.representation import Span
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.studies.describe_jobs import Place
from mdm_async.images.views.scrubbing import Scrubber

MOST_READS: Final = 2_000
"""For one request, where fragments must be walked through; beside one for each frame that a table tells."""
MOST_FRAMES: Final = 20_000
"""In one answer."""
_MOST_CHECKED: Final = 1 << 16
"""Frames, up to which the whole of a table is looked at."""
_WINDOW: Final = 1 << 14
_OFFSET, _LONG_OFFSET = 4, 8

Frame = Sequence[Span]
"""Its bytes: one run, or those of its fragments in order."""


@dataclass(slots=True)
class _Window:
    """The bytes of a view, some at a time."""

    read: Callable[[int, int], Awaitable[bytes]]
    end: int
    most: int
    reads: int = 0
    _start: int = 0
    _data: bytes = field(default=b"")

    async def bytes(self, at: int, size: int) -> bytes:
        """Raises Malformed past the end, TooLarge after too many reads."""
        if at < 0 or at + size > self.end:
            raise Malformed("the pixels' items point past their end")
        if not self._start <= at <= at + size <= self._start + len(self._data):
            self.reads += 1
            if self.reads > self.most:
                raise TooLarge(
                    "this image has no offset table that is right, and too many fragments to look for its frames",
                    remedy="retrieve the instance",
                )
            self._start = at
            self._data = await self.read(at, min(self.end, at + max(size, _WINDOW)))
        begin = at - self._start
        return self._data[begin : begin + size]


async def pixels_of(
    blobs: BlobStore, scrubber: Scrubber, view: ReadyView, most: int, *, begun: bool = False
) -> Placed:
    """`most`: bytes of a head that is looked at; `begun`: as in `Scrubber.run`. Raises NotFound when there are none,
    NotAcceptable, TooLarge, TooManyRequests."""
    if view.record.placed is not None:
        return view.record.placed
    kinds = [part.row.kind for part in view.parts]
    if kinds[0] == Kind.ORIGINAL.value:
        raise NotAcceptable("this image is deflated as a whole", remedy="retrieve the instance")
    if Kind.PIXELS.value not in kinds:
        raise NotFound("the image has no frames")
    size = view.parts[0].record.size
    if size > most:
        raise TooLarge("what comes before the pixels is too large", remedy="retrieve the instance")
    head = await stream.first_part(blobs, view)
    end = size + view.parts[1].record.size
    begin = await _read(blobs, view, size, min(size + PIXELS_HEADER, end))
    try:
        return await scrubber.run(Place(head, begin, end), begun=begun)
    except ScrubRefused as why:
        raise NotAcceptable(
            "what the image says of its pixels cannot be read", remedy="retrieve the instance"
        ) from why


async def frames_of(
    blobs: BlobStore, view: ReadyView, pixels: Placed, wanted: Sequence[int] | None
) -> list[Frame]:
    """Those of these numbers, from 1; None: all. Raises NotFound for a number that there is not, NotAcceptable where
    frames cannot be told apart, TooLarge."""
    layout = pixels.layout
    if layout is None or layout.frames < 1:
        raise NotAcceptable("the image does not say how its frames lie", remedy="retrieve the instance")
    if wanted is None and layout.frames > MOST_FRAMES:
        raise TooLarge("these are too many frames for one answer", remedy="retrieve some of them")
    numbers = range(1, layout.frames + 1) if wanted is None else wanted
    if not all(1 <= one <= layout.frames for one in numbers):
        raise NotFound(f"there is no such frame; the image has {layout.frames}")
    if pixels.length is not None:
        return _native(pixels, layout, pixels.length, numbers)
    if view.index is not None and layout.frames > 1:
        return await _indexed(blobs, view, view.index, pixels, numbers)
    try:
        return await _encapsulated(partial(_read, blobs, view), pixels, layout.frames, numbers)
    except Malformed as why:
        raise _apart() from why


async def _indexed(
    blobs: BlobStore, view: ReadyView, index: ReadyView, pixels: Placed, numbers: Sequence[int]
) -> list[Frame]:
    """By what was found when the pixels were stored: what is read of it for each frame is as little for every one."""
    base, seen = view.parts[0].record.size, view.record.seen
    window = _Window(partial(_read, blobs, index), index.size, MOST_READS + len(numbers))
    inside = _Window(partial(_read, blobs, view), pixels.end, MOST_READS + len(numbers))
    found: list[Frame] = []
    for number in numbers:
        told = await window.bytes((number - 1) * NUMBER, 2 * NUMBER)
        start, stop = (base + one for one in struct.unpack("<2Q", told))
        if seen is not None and seen.whole:
            found.append([(start + HEADER, stop)])
        else:
            found.append(await _fragments(inside, pixels.encoding, start, stop))
    return found


async def stream_of(blobs: BlobStore, view: ReadyView, pixels: Placed) -> Frame:
    """Encapsulated pixels that are one stream, as a video is. Raises NotAcceptable, TooLarge."""
    window = _Window(partial(_read, blobs, view), pixels.end, MOST_READS)
    try:
        _, first = await _table_span(window, pixels)
        return await _fragments(window, pixels.encoding, first, None)
    except Malformed as why:
        raise _apart() from why


async def _read(blobs: BlobStore, view: ReadyView, start: int, stop: int) -> bytes:
    return b"".join([bytes(piece) async for piece in stream.clear(blobs, view, start, stop)])


def _native(pixels: Placed, layout: Layout, length: int, numbers: Sequence[int]) -> list[Frame]:
    bits = layout.frame_bits
    if length not in (layout.total, layout.total + 1):
        # Some writers say that chrominance is shared, and share none.
        bits = layout.in_full * 8 // layout.frames
        if length not in (layout.in_full, layout.in_full + 1):
            raise NotAcceptable("the pixels are not of the size described", remedy="retrieve the instance")
    if bits % 8 and layout.frames > 1:
        raise NotAcceptable("frames begin within bytes here", remedy="retrieve the instance")
    size = (bits + 7) // 8
    starts = (pixels.start + (number - 1) * size for number in numbers)
    return [[(start, start + size)] for start in starts]


async def _table_span(window: _Window, pixels: Placed) -> Span:
    """Where the Basic Offset Table begins and ends; the first fragment follows. Raises Malformed."""
    at = pixels.start
    tag, table, size = pixels.encoding.items.header(await window.bytes(at, HEADER), 0, HEADER)
    if tag != ITEM or size == UNDEFINED:
        raise Malformed("the pixels have no items")
    return at + table, at + table + size


async def _encapsulated(
    read: Callable[[int, int], Awaitable[bytes]], pixels: Placed, count: int, numbers: Sequence[int]
) -> list[Frame]:
    encoding = pixels.encoding
    # Of their own: what is read of the table is not read again after each frame.
    of_table = _Window(read, pixels.end, MOST_READS)
    table, first = await _table_span(of_table, pixels)

    async def told(place: int, several: int) -> bytes:
        """So many of the Basic Offset Table's numbers."""
        return await of_table.bytes(table + place * _OFFSET, several * _OFFSET)

    async def told_extended(place: int, several: int) -> bytes:
        assert pixels.extended is not None
        return pixels.extended[0][place * _LONG_OFFSET : (place + several) * _LONG_OFFSET]

    if count > 1:
        tables = []
        if pixels.extended is not None and len(pixels.extended[0]) == count * _LONG_OFFSET:
            tables.append(_Table("Q", count, first, told_extended))
        if first - table == count * _OFFSET:
            tables.append(_Table("L", count, first, told))
        for one in tables:
            if count <= _MOST_CHECKED and not await one.is_ascending():
                continue
            window = _Window(read, pixels.end, MOST_READS + len(numbers))
            try:
                return [await _by_table(window, encoding, one, number - 1) for number in numbers]
            except Malformed:
                continue
    window = _Window(read, pixels.end, MOST_READS)
    fragments = await _fragments(window, encoding, first, None)
    if count == 1:
        return [fragments for _ in numbers]
    if len(fragments) != count:
        raise _apart()
    return [[fragments[number - 1]] for number in numbers]


@dataclass(frozen=True, slots=True)
class _Table:
    """Where frames begin, as one of the offset tables has it; `unit` is that of `struct`."""

    unit: str
    count: int
    first: int
    """Where the first fragment is, from which the table counts."""
    told: Callable[[int, int], Awaitable[bytes]]

    async def numbers(self, place: int, several: int) -> tuple[int, ...]:
        return struct.unpack(f"<{several}{self.unit}", await self.told(place, several))

    async def is_ascending(self) -> bool:
        """Whether it can be one: from 0, each behind the one before."""
        numbers = await self.numbers(0, self.count)
        return numbers[0] == 0 and all(one < after for one, after in pairwise(numbers))


async def _by_table(window: _Window, encoding: Encoding, table: _Table, place: int) -> Frame:
    """Raises Malformed when the table is not right about this frame."""
    begin, *after = await table.numbers(place, min(2, table.count - place))
    if after and after[0] <= begin:
        raise Malformed("an offset table that is none")
    return await _fragments(window, encoding, table.first + begin, table.first + after[0] if after else None)


async def _fragments(window: _Window, encoding: Encoding, at: int, end: int | None) -> list[Span]:
    """From one to another, or to the delimiter. Raises Malformed when they do not end there."""
    found: list[Span] = []
    while at != end:
        tag, _, length = encoding.items.header(await window.bytes(at, HEADER), 0, HEADER)
        if tag == SEQUENCE_END and end is None and found:
            break
        at += HEADER
        if tag != ITEM or length == UNDEFINED or at + length > (window.end if end is None else end):
            raise Malformed("fragments that do not follow each other")
        found.append((at, at + length))
        at += length
    return found


def _apart() -> NotAcceptable:
    return NotAcceptable("the frames of this image cannot be told apart", remedy="retrieve the instance")
