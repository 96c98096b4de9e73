"""Walk an MP4 file (ISO 14496-12): one track of video, whose units are looked into sample by sample.

The tables that say where samples lie may come after them. Then the media are read as unit after unit, and the tables
are held against that: nothing may lie between the samples.
"""

import struct
from array import array
from bisect import bisect_left
from collections.abc import Generator
from typing import Final

from mdm_async.dicom.pixels.findings import HELD, Findings
from mdm_async.dicom.pixels.jpeg import Unrecognisable
from mdm_async.dicom.pixels.pulled import Pulled, Steps
from mdm_async.dicom.pixels.video.mp4_boxes import DESCRIBING
from mdm_async.dicom.pixels.video.sample_entry import SampleEntry
from mdm_async.dicom.pixels.video.samples import MOST, Places, Samples
from mdm_async.dicom.pixels.video.units import Codec

METADATA: Final = "an MP4 metadata box"
TEXT: Final = "texts, times or languages in an MP4 box"
NO_SAMPLE: Final = "bytes of an MP4 file that are no sample"
CLEANABLE: Final = frozenset({METADATA, TEXT, NO_SAMPLE})

_CONTENT: Final[dict[bytes, frozenset[bytes]]] = {
    b"moov": frozenset({b"mvhd", b"trak"}),
    b"trak": frozenset({b"tkhd", b"edts", b"mdia"}),
    b"edts": frozenset({b"elst"}),
    b"mdia": frozenset({b"mdhd", b"hdlr", b"minf"}),
    b"minf": frozenset({b"vmhd", b"dinf", b"stbl"}),
    b"dinf": frozenset({b"dref"}),
    b"stbl": frozenset({b"stsd", b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stco", b"co64"}),
}
"""The boxes that are looked into, by the one that they are in. All others become free space."""
_FREE: Final = b"free"
_TABLES: Final = frozenset({b"stts", b"ctts", b"stss", b"stsc", b"stsz", b"stco", b"co64"})
"""Boxes that nothing is overwritten in."""
_LONGEST: Final = HELD // 2
"""Bytes of another box that is looked into."""
_LONGEST_TABLE: Final = 16 + 12 * MOST
_MOST_UNITS: Final = 4 * MOST
_USUAL_LENGTH_SIZE: Final = 4
_FRAGMENTED: Final = "a fragmented MP4 file"
_NO_UNITS: Final = "MP4 samples that are no video units"
_CONTRADICTION: Final = "MP4 samples that are not where the tables say"

_Box = Generator[None, bytes, tuple[bytes, int, int]]


class Mp4:
    """One file."""

    def __init__(self, codec: Codec, findings: Findings) -> None:
        self._codec = codec
        self._findings = findings
        self._samples = Samples()
        self._places: Places | None = None
        """None until the tables have come."""
        self._entry: SampleEntry | None = None
        self._tracks = 0
        self._met: set[tuple[int, bytes]] = set()
        """Kinds of boxes, by the number of the track that they are of."""
        self._media: list[tuple[int, int]] = []
        self._units = array("Q")
        """Where units begin, as long as the tables have not come."""
        self._no_units: Unrecognisable | None = None
        """Why the media are no units one after the other."""
        self._walked = 0
        """Samples that have been looked into."""
        self._between = False
        """Whether the file may end here."""

    def walk(self, source: Pulled) -> Steps:
        """Raises Unrecognisable."""
        try:
            while True:
                self._between = True
                kind, begin, end = yield from self._header(source)
                self._between = False
                yield from self._outermost(source, kind, begin, end)
        except (struct.error, IndexError):
            raise Unrecognisable("an MP4 box that is too short") from None

    def close(self, source: Pulled) -> bytes:
        """Nothing has to be read yet. Raises Unrecognisable."""
        if not self._between or len(source.left) >= 8 or source.left.strip(b"\0"):
            raise Unrecognisable("bytes after the last box of an MP4 file")
        if self._places is None or self._walked != len(self._places):
            raise Unrecognisable(_CONTRADICTION)
        return b""

    def _header(self, source: Pulled, limit: int | None = None) -> _Box:
        """A box's kind, and where it begins and ends."""
        begin = source.taken
        size, kind = struct.unpack(">L4s", (yield from source.take(8)))
        if size == 1:
            (size,) = struct.unpack(">Q", (yield from source.take(8)))
        end = begin + size
        if end < source.taken or (limit is not None and end > limit):
            raise Unrecognisable("an MP4 box without its length")
        return kind, begin, end

    def _outermost(self, source: Pulled, kind: bytes, begin: int, end: int) -> Steps:
        if kind == b"moof":
            raise Unrecognisable(_FRAGMENTED)
        if kind == b"ftyp":
            yield from self._described(source, kind, end)
        elif kind == b"mdat":
            yield from self._media_data(source, end)
        elif kind == b"moov":
            if self._places is not None:
                raise Unrecognisable("an MP4 file with two tables of contents")
            yield from self._contents(source, kind, end)
            self._places = self._samples.places()
            if self._entry is None or self._tracks != 1:
                raise Unrecognisable("an MP4 file without a description of its video")
            if self._no_units is not None:
                raise self._no_units
            if self._media:
                self._compare(self._places)
        else:
            yield from self._blank(source, kind, begin, end)

    def _contents(self, source: Pulled, parent: bytes, end: int) -> Steps:
        """The boxes in one of the boxes that are looked into."""
        while source.taken < end:
            kind, begin, stop = yield from self._header(source, end)
            if kind == b"mvex":
                raise Unrecognisable(_FRAGMENTED)
            if kind not in _CONTENT[parent]:
                yield from self._blank(source, kind, begin, stop)
            elif kind in _CONTENT:
                self._tracks += kind == b"trak"
                yield from self._contents(source, kind, stop)
            else:
                yield from self._described(source, kind, stop)

    def _described(self, source: Pulled, kind: bytes, end: int) -> Steps:
        """A box that says something of the video."""
        length = end - source.taken
        if length > (_LONGEST_TABLE if kind in _TABLES else _LONGEST):
            raise Unrecognisable("an MP4 box that is too long")
        body = yield from source.take(length)
        clean = body
        if kind == b"stsd":
            if self._entry is not None:
                raise Unrecognisable("an MP4 file with several descriptions of its video")
            self._entry = SampleEntry.of(body, self._codec)
            clean = self._entry.clean
        elif kind == b"stsz":
            self._samples.sizes(body)
        elif kind == b"stsc":
            self._samples.runs(body)
        elif kind in (b"stco", b"co64"):
            self._samples.chunks(body, width=4 if kind == b"stco" else 8)
        else:
            clean = DESCRIBING[kind](body)
            if kind == b"hdlr" and self._tracks > 1:
                raise Unrecognisable("an MP4 file with several tracks of video")
            self._demand_first(kind)
            if kind in (b"stts", b"ctts"):
                self._samples.times(body)
            elif kind == b"stss":
                self._samples.entries(body)
        if clean != body:
            self._findings.note(TEXT)
            self._findings.wipe(end - length, end, by=clean)

    def _demand_first(self, kind: bytes) -> None:
        """A second box of one kind is read by nobody, so anything could be in it."""
        once = (0 if kind in (b"ftyp", b"mvhd") else self._tracks, kind)
        if once in self._met:
            raise Unrecognisable("an MP4 box that is there twice")
        self._met.add(once)

    def _blank(self, source: Pulled, kind: bytes, begin: int, end: int) -> Steps:
        """A box that becomes free space."""
        self._findings.wipe(begin + 4, begin + 8, by=_FREE)
        self._findings.wipe(source.taken, end)
        zeros = yield from source.skip_zeros(end - source.taken)
        if kind != _FREE or not zeros:
            self._findings.note(METADATA)

    def _media_data(self, source: Pulled, end: int) -> Steps:
        if self._places is None:
            self._media.append((source.taken, end))
            try:
                yield from self._sample(source, end, _USUAL_LENGTH_SIZE)
            except Unrecognisable as what:
                self._no_units = what  # the tables, when they come, may tell why: sound, for example
                yield from source.skip(end - source.taken)
            return
        assert self._entry is not None
        starts, stops = self._places.starts, self._places.stops
        while self._walked < len(starts) and stops[self._walked] <= end:
            yield from self._gap(source, starts[self._walked])
            yield from self._sample(source, stops[self._walked], self._entry.length_size)
            self._walked += 1
        yield from self._gap(source, end)

    def _gap(self, source: Pulled, end: int) -> Steps:
        """Bytes of no sample."""
        if end < source.taken:
            raise Unrecognisable(_CONTRADICTION)
        self._findings.wipe(source.taken, end)
        if not (yield from source.skip_zeros(end - source.taken)):
            self._findings.note(NO_SAMPLE)

    def _sample(self, source: Pulled, end: int, length_size: int) -> Steps:
        """Units, each behind its length."""
        while source.taken < end:
            if self._places is None:
                self._units.append(source.taken)
                if len(self._units) > _MOST_UNITS:
                    raise Unrecognisable("an MP4 file with too many units")
            left = int.from_bytes((yield from source.take(length_size)), "big") - self._codec.header
            if not 0 <= left <= end - source.taken - self._codec.header:
                raise Unrecognisable(_NO_UNITS)
            unit = self._codec.unit((yield from source.take(self._codec.header)), self._findings)
            while left:
                piece = yield from source.rest(left)
                left -= len(piece)
                unit.feed(piece, source.taken - len(piece))
            unit.end()

    def _compare(self, places: Places) -> None:
        """Whether what was walked as units is samples, one after the other and of whole units."""
        assert self._entry is not None
        expected = iter(self._media)
        at = end = -1
        for start, stop in zip(places.starts, places.stops, strict=True):
            while at == end:
                at, end = next(expected, (0, -1))
            if start != at or stop > end or (stop != end and not self._is_unit(stop)):
                raise Unrecognisable(_CONTRADICTION)
            at = stop
        if at != end or any(begin < stop for begin, stop in expected):
            raise Unrecognisable(_CONTRADICTION)
        if self._entry.length_size != _USUAL_LENGTH_SIZE:
            raise Unrecognisable(_NO_UNITS)
        self._walked = len(places)

    def _is_unit(self, at: int) -> bool:
        """Whether a unit begins here."""
        place = bisect_left(self._units, at)
        return place < len(self._units) and self._units[place] == at
