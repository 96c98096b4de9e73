"""Look for what is no picture inside pixels, while they stream by and without decoding them.

Native pixels have places for it in unused bits, and after the last frame (`refusals`). Encapsulated ones have more:
comments, application segments, bytes after the end of a codestream; run-length encoded frames have only the last.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Final, Protocol

from mdm_async.dicom.elements import BLANK_VRS, UNDEFINED, Buffer, encoding_of
from mdm_async.dicom.items import HEADER, ITEM
from mdm_async.dicom.pixels import jpeg, jpeg2000
from mdm_async.dicom.pixels import mask as pixel_mask
from mdm_async.dicom.pixels.description import Description
from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.jpeg import NO_END, Unrecognisable, walk_jpeg
from mdm_async.dicom.pixels.jpeg2000 import walk_jpeg2000
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.mask import UNUSED_BITS, UnusedBits
from mdm_async.dicom.pixels.offset_table import OffsetTable
from mdm_async.dicom.pixels.pulled import Pulled, Steps
from mdm_async.dicom.pixels.run_lengths import AFTER_A_SEGMENT, RunLengths
from mdm_async.dicom.pixels.video import streams as video
from mdm_async.dicom.pixels.video.streams import SYNTAXES, VideoStream
from mdm_async.errors import Malformed

Walk = Callable[[Pulled, Findings], Steps]

_JPEG: Final = "1.2.840.10008.1.2.4."
_WALKS: Final[dict[str, Walk]] = {
    **{f"{_JPEG}{number}": walk_jpeg for number in (*range(50, 67), 70, 80, 81)},
    **{f"{_JPEG}{number}": walk_jpeg2000 for number in (90, 91, 92, 93, 201, 202, 203)},
}
_RLE: Final = "1.2.840.10008.1.2.5"
_LOOKED_INTO: Final = {*_WALKS, _RLE, *SYNTAXES}
NATIVE: Final = frozenset(
    {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}
)
"""Transfer syntaxes of pixels that are not compressed."""

PIXEL_DATA: Final = 0x7FE00010
"""Not Float and Double Float Pixel Data, all of whose bits are the picture's."""

_AFTER_THE_END: Final = "bytes after the end of a codestream"
_SECOND: Final = "a second codestream in a fragment"
_STARTS: Final = (b"\xff\xd8", b"\xff\x4f")
_CLEANABLE: Final = jpeg.CLEANABLE | jpeg2000.CLEANABLE | {_AFTER_THE_END, AFTER_A_SEGMENT} | video.CLEANABLE


def can_be_cleaned(finding: str) -> bool:
    """Whether this can be overwritten in place with nothing lost of the picture (`pixel_cleaning`)."""
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
        self._transfer_syntax = transfer_syntax
        self._layout = Layout.of(about) if about else None
        self._findings = findings or Findings()
        self._parse = self._element(Pulled())
        self._frames: _Frames | None = None
        next(self._parse)

    def feed(self, chunk: Buffer) -> None:
        """Take the next bytes of the pixels."""
        self._parse.send(bytes(chunk))

    def findings(self) -> tuple[str, ...]:
        """Distinct reasons, without their content, in the order found; ask when all has been fed."""
        if self._frames:
            self._frames.close()
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
        elif self._transfer_syntax in _LOOKED_INTO:
            self._frames = self._frames_of(self._transfer_syntax)
            yield from self._fragments(source, self._frames)
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

    def _frames_of(self, transfer_syntax: str) -> "_Frames":
        if transfer_syntax in SYNTAXES:
            return VideoStream(transfer_syntax, self._findings)
        if transfer_syntax == _RLE:
            return RunLengths(self._layout, self._findings)
        return _Codestreams(_WALKS[transfer_syntax], self._findings)

    def _fragments(self, source: Pulled, frames: "_Frames") -> Steps:
        reader = encoding_of(self._transfer_syntax).items
        table: OffsetTable | None = None
        while True:
            at = source.taken
            tag, _, length = reader.header((yield from source.take(HEADER)), 0, HEADER)
            if tag != ITEM:
                break
            if table is None:
                table = OffsetTable(length)
                while length:
                    some = yield from source.rest(length)
                    length -= len(some)
                    table.feed(some)
                table.first_item = source.taken
                continue
            table.item(at)
            frames.next_fragment(length)
            while length:
                some = yield from source.rest(length)
                length -= len(some)
                self._findings.fragment(source.taken - len(some), len(some))
                frames.feed(some)
        if length:
            self._findings.note("a delimiter that announces a length")
        frames.close()
        self.delimited = True
        if table and not table.true:
            self._findings.note("an offset table that is none")
        if self._layout and frames.frames > self._layout.frames:
            self._findings.note("more frames than described")


class _Frames(Protocol):
    """What walks fragments."""

    @property
    def frames(self) -> int:
        """Frames seen so far, at least."""

    def next_fragment(self, length: int) -> None:
        """Another fragment begins."""

    def feed(self, some: bytes) -> None:
        """The next bytes of it."""

    def close(self) -> None:
        """There are no more fragments; may be told again."""


class _Codestreams:
    """Walks one codestream after another; each begins with a fragment, and may go on over several."""

    def __init__(self, walk: Walk, findings: Findings) -> None:
        self.frames = 0
        self._walk = walk
        self._findings = findings
        self._fed = 0
        self._ended, self._lost = True, False

    def next_fragment(self, length: int) -> None:
        """It begins another codestream if the last one has ended, and goes on with that if not."""
        if self._ended:
            self.frames += 1
            self._ended = False
            self._steps = self._one(Pulled(self._fed))
            next(self._steps)

    def feed(self, some: bytes) -> None:
        self._fed += len(some)
        self._steps.send(some)

    def close(self) -> None:
        """There are no more fragments."""
        if not self._ended and not self._lost:
            self._findings.note(NO_END)

    def _one(self, source: Pulled) -> Steps:
        try:
            yield from self._walk(source, self._findings)
        except Unrecognisable as what:
            self._findings.note(str(what))
            self._lost = True
            while True:  # where the next codestream begins cannot be told any more
                yield from source.rest()
        self._ended = True
        start = b""
        while True:
            some = yield from source.rest()
            self._findings.wipe(source.taken - len(some), source.taken)
            # Padding to even length is one NUL, of some writers more, of others one FF: too little to hide anything.
            after = (start + some).lstrip(b"\0")
            start = after[:2]
            if after[:1] not in (b"", b"\xff") or after[1:].strip(b"\0"):
                self._findings.note(_SECOND if start in _STARTS else _AFTER_THE_END)
