"""Look into the video stream of one image: which container it is in, and what walks that."""

from typing import Final, Protocol

from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.frames import Frames
from mdm_async.dicom.pixels.jpeg import Unrecognisable
from mdm_async.dicom.pixels.pulled import Pulled, Steps
from mdm_async.dicom.pixels.video import mp4, mpeg2, packets, units
from mdm_async.dicom.pixels.video.avc import AVC
from mdm_async.dicom.pixels.video.hevc import HEVC
from mdm_async.dicom.pixels.video.mp4 import Mp4
from mdm_async.dicom.pixels.video.start_codes import START, Elementary
from mdm_async.dicom.pixels.video.transport import Transport
from mdm_async.dicom.pixels.video.units import Codec

_SYNTAX: Final = "1.2.840.10008.1.2.4."
_CODECS: Final[dict[str, Codec]] = {
    f"{_SYNTAX}{number}{fragmentable}": codec
    for numbers, codec in (((100, 101), mpeg2.MPEG2), (range(102, 107), AVC), ((107, 108), HEVC))
    for number in numbers
    for fragmentable in ("", ".1")
}
SYNTAXES: Final = frozenset(_CODECS)
CLEANABLE: Final = units.CLEANABLE | mpeg2.CLEANABLE | mp4.CLEANABLE | packets.CLEANABLE


class _Container(Protocol):
    def walk(self, source: Pulled) -> Steps:
        """Read the whole stream, from its first byte. Raises Unrecognisable."""

    def close(self, source: Pulled) -> bytes:
        """The stream has ended: what has to be read yet, for the last of it to be known. Raises Unrecognisable."""


class VideoStream:
    """Walks one stream, which may lie in several fragments."""

    def __init__(self, transfer_syntax: str, frames: Frames, findings: Findings) -> None:
        frames.begin(0)  # how many there are cannot be told without decoding: one at least
        self._codec = _CODECS[transfer_syntax]
        self._findings = findings
        self._source = Pulled()
        self._container: _Container | None = None
        self._over = False
        self._steps = self._walk()
        next(self._steps)

    def begins(self, start: bytes) -> bool:
        """Where there is no offset table, nothing is read."""
        return False

    def next_fragment(self, length: int) -> None:
        """The stream goes on over fragments."""

    def feed(self, some: bytes) -> None:
        self._steps.send(some)

    def close(self) -> None:
        """There are no more fragments."""
        if self._over:
            return
        self._over = True
        try:
            if self._container is None:
                raise Unrecognisable("what is no video stream")
            self._steps.send(self._container.close(self._source))
        except Unrecognisable as what:
            self._findings.note(str(what))

    def _walk(self) -> Steps:
        try:
            first = yield from self._source.take(8)
            self._source.give_back(8)
            self._container = self._of(first)
            yield from self._container.walk(self._source)
        except Unrecognisable as what:
            self._findings.note(str(what))
            self._over = True
        while True:  # what comes cannot be told any more
            yield from self._source.rest()

    def _of(self, first: bytes) -> _Container:
        if first[4:] == b"ftyp":
            return Mp4(self._codec, self._findings)
        if first[:1] == b"\x47":
            return Transport(self._codec, self._findings)
        if first.startswith((START, b"\0" + START)):
            return Elementary(self._codec, self._findings)
        raise Unrecognisable("a video container that is not looked into")
