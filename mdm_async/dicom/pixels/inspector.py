"""Look for what is no picture inside pixels, while they stream by and without decoding them.

Native pixels have places for it in unused bits, and after the last frame (`refusals`). Encapsulated ones have more:
comments, application segments, bytes after the end of a codestream; run-length encoded frames have only the last.
"""

from contextlib import suppress
from typing import Final

from mdm_async.dicom.elements import BLANK_VRS, UNDEFINED, Buffer, encoding_of
from mdm_async.dicom.items import HEADER, ITEM
from mdm_async.dicom.pixels import codestreams
from mdm_async.dicom.pixels import mask as pixel_mask
from mdm_async.dicom.pixels.codestreams import Codestreams, Walk
from mdm_async.dicom.pixels.description import EXTENDED_LENGTHS, EXTENDED_OFFSETS, TOTAL_LENGTH, Description
from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.frames import (
    MOST,
    NO_TABLE,
    NOT_TOLD_APART,
    REPAIRED,
    WRONG_DELIMITER,
    WRONG_EXTENDED_TABLE,
    WRONG_TABLE,
    Frames,
    FrameWalk,
)
from mdm_async.dicom.pixels.jpeg import walk_jpeg
from mdm_async.dicom.pixels.jpeg2000 import walk_jpeg2000
from mdm_async.dicom.pixels.jpeg_xl import walk_jpeg_xl
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.mask import UNUSED_BITS, UnusedBits
from mdm_async.dicom.pixels.plain_frames import AFTER_A_FRAME, DEFLATED_FRAMES, UNCOMPRESSED, PlainFrames
from mdm_async.dicom.pixels.pulled import Pulled, Steps
from mdm_async.dicom.pixels.run_lengths import AFTER_A_SEGMENT, RunLengths
from mdm_async.dicom.pixels.video import streams as video
from mdm_async.dicom.pixels.video.streams import SYNTAXES, VideoStream
from mdm_async.errors import Malformed

_JPEG: Final = "1.2.840.10008.1.2.4."
_WALKS: Final[dict[str, Walk]] = {
    **{f"{_JPEG}{number}": walk_jpeg for number in (*range(50, 67), 70, 80, 81)},
    **{f"{_JPEG}{number}": walk_jpeg2000 for number in (90, 91, 92, 93, 201, 202, 203)},
    **{f"{_JPEG}{number}": walk_jpeg_xl for number in (110, 111, 112)},
}
_RLE: Final = "1.2.840.10008.1.2.5"
LOOKED_INTO: Final = {*_WALKS, _RLE, *SYNTAXES}
NATIVE: Final = frozenset(
    {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}
)
"""Transfer syntaxes of pixels that are not compressed."""

PIXEL_DATA: Final = 0x7FE00010
"""Not Float and Double Float Pixel Data, all of whose bits are the picture's."""

_LONGEST_TABLE: Final = 4 * MOST
"""Bytes."""
_TELLING: Final = 12
"""Bytes of a fragment that tell whether a frame begins with it."""
_CLEANABLE: Final = codestreams.CLEANABLE | {AFTER_A_SEGMENT, AFTER_A_FRAME} | video.CLEANABLE


def can_be_cleaned(finding: str) -> bool:
    """Whether this can be overwritten in place with nothing lost of the picture (`cleaning`)."""
    return finding in _CLEANABLE


class Inspector:
    """Fed the PIXELS pieces of one file, tag and all, in chunks of any size; keeps a few bytes of them."""

    def __init__(
        self, transfer_syntax: str, about: Description | None = None, findings: Findings | None = None
    ) -> None:
        """`about` is what the head says of the pixels, None when it cannot be read.

        `findings` is told of everything found, as soon as it is.
        """
        self.delimited = False
        """Whether fragments have been looked into up to their delimiter."""
        self.frames = Frames()
        """Those of fragments."""
        self._transfer_syntax = transfer_syntax
        self._about = about
        self._layout = Layout.of(about) if about else None
        self._findings = findings or Findings()
        self._parse = self._element(Pulled())
        self._walk: FrameWalk | None = None
        self._table, self._size = b"", 0
        """The Basic Offset Table; bytes of fragments."""
        next(self._parse)

    def feed(self, chunk: Buffer) -> None:
        """Take the next bytes of the pixels."""
        self._parse.send(bytes(chunk))

    def findings(self) -> tuple[str, ...]:
        """Distinct reasons, without their content, in the order found; ask when all has been fed."""
        if self._walk:
            self._walk.close()
            self._judge()
        return tuple(self._findings.noted)

    def _element(self, source: Pulled) -> Steps:
        """Read the pixel element: fragments go to the codestreams' walk, all else is let pass."""
        encoding = encoding_of(self._transfer_syntax)
        header = yield from source.take(8)
        if encoding.header_size(header, 0, 12) == 12:
            header += yield from source.take(4)
        tag, vr, length = 0, b"", 0
        with suppress(Malformed):
            tag, vr, _, length = encoding.header(header, 0, len(header))
        if encoding.explicit and (not vr or vr in BLANK_VRS):
            self._findings.note("pixels whose VR is left blank")
        elif length != UNDEFINED:
            if self._transfer_syntax not in NATIVE:
                self._findings.note("native pixels under a transfer syntax of compressed ones")
            elif tag == PIXEL_DATA and self._layout and self._layout.stored < self._layout.bits:
                yield from self._samples(source, self._layout)
        elif walk := self._walk_of_frames():
            self._walk = walk
            yield from self._fragments(source, walk)
        else:
            self._findings.note("compressed pixels of a transfer syntax that is not looked into")
        while True:
            yield from source.rest()

    def _samples(self, source: Pulled, layout: Layout) -> Steps:
        """Look at the bits of native samples that are not the picture's."""
        if why := pixel_mask.obstacle(layout):
            self._findings.note(f"bits that are not the picture's: {why}")
            return
        unused, left = UnusedBits(layout), layout.total
        while left and not unused.found:
            some = yield from source.rest(left)
            left -= len(some)
            unused.feed(some)
            if unused.found:
                self._findings.note(UNUSED_BITS)

    def _walk_of_frames(self) -> FrameWalk | None:
        """None for a transfer syntax whose frames are not known."""
        syntax, layout, frames, findings = self._transfer_syntax, self._layout, self.frames, self._findings
        if syntax in _WALKS:
            return Codestreams(_WALKS[syntax], frames, findings)
        if syntax == _RLE:
            return RunLengths(layout, frames, findings)
        if syntax in SYNTAXES:
            return VideoStream(syntax, frames, findings)
        if syntax in (UNCOMPRESSED, DEFLATED_FRAMES):
            return PlainFrames(layout, frames, findings, deflated=syntax == DEFLATED_FRAMES)
        return None

    def _fragments(self, source: Pulled, walk: FrameWalk) -> Steps:
        reader, frames = encoding_of(self._transfer_syntax).items, self.frames
        first_item: int | None = None
        while True:
            at = source.taken
            tag, _, length = reader.header((yield from source.take(HEADER)), 0, HEADER)
            if tag != ITEM:
                break
            start = b""
            if first_item is None:
                self._findings.await_fragment(source.taken)
                start = yield from source.take(min(length, _TELLING))
                length -= len(start)
                if not walk.begins(start):
                    self._findings.await_fragment(None)
                    yield from self._offset_table(source, start, length)
                    first_item = source.taken
                    continue
                first_item, frames.headless = at, True
                self._findings.note(NO_TABLE)
            frames.fragments += 1
            frames.offset = at - first_item
            walk.next_fragment(len(start) + length)
            if start:
                self._look_at(walk, source, start)
            while length:
                some = yield from source.rest(length)
                length -= len(some)
                self._look_at(walk, source, some)
        if length:
            self._findings.note(WRONG_DELIMITER)
        walk.close()
        self.delimited = True

    def _look_at(self, walk: FrameWalk, source: Pulled, some: bytes) -> None:
        """The bytes of a fragment that have just been taken."""
        self._size += len(some)
        self._findings.fragment(source.taken - len(some), len(some))
        walk.feed(some)

    def _offset_table(self, source: Pulled, start: bytes, left: int) -> Steps:
        """Take the Basic Offset Table, of which `left` bytes come after these first ones."""
        possible = len(start) + left <= _LONGEST_TABLE
        table = bytearray(start)
        while left:
            some = yield from source.rest(left)
            left -= len(some)
            if possible:
                table += some
        self._table = bytes(table) if possible else b"\0"

    def _judge(self) -> None:
        """Compare the frames that there are with what is said of them."""
        frames, findings = self.frames, self._findings
        described = self._layout.frames if self._layout else None
        if not frames.fit(self._table):
            findings.note(WRONG_TABLE)
        if self._about and not self._extended_table_fits(self._about):
            findings.note(WRONG_EXTENDED_TABLE)
        if described is not None and frames.count > described:
            findings.note("more frames than described")
        elif not REPAIRED.isdisjoint(findings.noted) and not frames.told_apart(described):
            findings.note(NOT_TOLD_APART)

    def _extended_table_fits(self, about: Description) -> bool:
        tags = (EXTENDED_OFFSETS, EXTENDED_LENGTHS, TOTAL_LENGTH)
        if any(map(about.ambiguous, tags)):
            return False
        offsets, lengths, total = (about.values.get(tag, b"") for tag in tags)
        if total and int.from_bytes(total, "little") not in (self._size, self._size - 1):
            return False
        return not (offsets or lengths) or self.frames.fit_extended(offsets, lengths, self._size)
