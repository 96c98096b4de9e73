"""Walk JPEG 2000 (and HTJ2K) codestreams by their marker segments, undecoded (ISO 15444-1 Annex A)."""

import re
from typing import Final

from mdm_async.dicom.pixels import jp2_boxes as pixel_jp2_boxes
from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.jp2_boxes import walk_boxes
from mdm_async.dicom.pixels.jpeg import NO_END, Unrecognisable
from mdm_async.dicom.pixels.jpeg2000_pointers import Pointers
from mdm_async.dicom.pixels.jpeg2000_segments import KNOWN, LONGEST, Segments
from mdm_async.dicom.pixels.pulled import Count, Pulled, Steps, Take

_SOC, _SOT, _SOD, _EOC = b"\xff\x4f", b"\xff\x90", b"\xff\x93", b"\xff\xd9"
_COM, _CRG, _TLM, _PLT = 0x64, 0x63, 0x55, 0x58

# Packet data never holds FF90 to FFFF but for the in-bit-stream markers SOP (91) and EPH (92).
_AFTER_PACKETS: Final = re.compile(rb"\xff[\x90\x93-\xff]", re.DOTALL)

JP2_SIGNATURE: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_NO_PICTURE: Final = {
    _COM: "JPEG 2000 comment",
    # How components lie to each other for display, where zeros say: on each other.
    _CRG: "JPEG 2000 component registration",
}
CLEANABLE: Final = pixel_jp2_boxes.CLEANABLE | frozenset(_NO_PICTURE.values())
_MORE: Final = "a JPEG 2000 marker segment with more than it has to say"


def walk_jpeg2000(source: Pulled, findings: Findings) -> Steps:
    """Read one codestream, raw or in JP2 boxes, up to its end, and note what it holds beside the picture."""
    start = yield from source.take(2)
    if start == JP2_SIGNATURE[:2] and (yield from source.take(10)) == JP2_SIGNATURE[2:]:
        yield from walk_boxes(source, findings)
        start = yield from source.take(2)
    if start != _SOC:
        raise Unrecognisable("what is no JPEG 2000 codestream")
    yield from _Codestream(source, findings).walk()


class _Codestream:
    """From after SOC up to EOC."""

    def __init__(self, source: Pulled, findings: Findings) -> None:
        self._source = source
        self._findings = findings
        self._segments, self._pointers = Segments(), Pointers()
        self._tile = 0
        self._begin, self._end = 0, 0
        """Of the tile-part; an end of 0 is not known."""

    def walk(self) -> Steps:
        source = self._source
        marker = yield from source.take(2)
        while marker != _EOC:
            if marker == _SOT:
                yield from self._tile_part_header()
            elif marker == _SOD:
                marker = yield from self._packets()
                continue
            elif marker == _SOC:
                raise Unrecognisable(NO_END)
            elif marker[0] != 0xFF or marker[1] < 0x40:
                raise Unrecognisable("bytes that are no JPEG 2000 marker")
            else:
                yield from self._segment(marker[1])
            marker = yield from source.take(2)
        if not self._segments.agree:
            self._findings.note(_MORE)
        if not self._pointers.true:
            self._findings.note("lengths in a JPEG 2000 codestream that are none")

    def _tile_part_header(self) -> Steps:
        self._begin = self._source.taken - 2
        if (yield from self._length()) != 8:
            raise Unrecognisable("a JPEG 2000 tile-part header of the wrong length")
        fields = yield from self._source.take(8)
        length = int.from_bytes(fields[2:6], "big")
        self._tile = int.from_bytes(fields[:2], "big")
        self._end = self._begin + length if length else 0

    def _packets(self) -> Take:
        """The rest of a tile-part, and the marker after it."""
        source, begin = self._source, self._source.taken
        if self._end:
            # The tile-part says where it ends: bytes between that and the next marker cannot hide.
            yield from source.skip(max(0, self._end - begin))
            source.lacks, source.ends_at = _EOC, source.taken
            marker = yield from source.take(2)
        else:
            source.lacks, source.ends_at = _EOC, None
            marker = yield from source.find(_AFTER_PACKETS)
        source.lacks = b""
        end = source.taken - 2
        self._pointers.tile_part(self._tile, end - self._begin, end - begin)
        return marker

    def _segment(self, marker: int) -> Steps:
        source, findings = self._source, self._findings
        length = yield from self._length()
        if marker in _NO_PICTURE:
            findings.wipe(source.taken, source.taken + length)
            if not (yield from source.skip_zeros(length)):
                findings.note(_NO_PICTURE[marker])
        elif marker == _TLM:
            yield from self._pointers.tile_parts(source, length)
        elif marker == _PLT:
            yield from self._pointers.packets(source, length)
        elif marker in KNOWN and length <= LONGEST:
            if not self._segments.nothing_else(marker, (yield from source.take(length))):
                findings.note(_MORE)
        else:
            findings.note("a JPEG 2000 marker segment of no known kind")
            yield from source.skip(length)

    def _length(self) -> Count:
        """Bytes of a marker segment after its length field."""
        length = int.from_bytes((yield from self._source.take(2)), "big")
        if length < 2:
            raise Unrecognisable("a JPEG 2000 marker segment without its length")
        return length - 2
