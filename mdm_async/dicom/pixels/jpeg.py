"""Walk the marker segments of JPEG and JPEG-LS codestreams (ISO 10918-1 Annex B, ISO 14495-1 Annex C), undecoded."""

import re
from typing import Final

from mdm_async.dicom.pixels import jpeg_segments as pixel_jpeg_segments
from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.pulled import Pulled, Steps

_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_LS_FRAME, _LS_PARAMETERS = 0xF7, 0xF8
_NO_PICTURE: Final = {
    _COM: "JPEG comment",
    **{0xE0 + number: f"JPEG application segment APP{number}" for number in range(16)},
    **dict.fromkeys({0xC8, *range(0xF0, 0xFE)} - {_LS_FRAME, _LS_PARAMETERS}, "JPEG extension segment"),
}
CLEANABLE: Final = frozenset(_NO_PICTURE.values())
NO_END: Final = "a codestream without its end"

_ALONE: Final = frozenset([0x01, *range(0xD0, 0xD8)])

# In entropy-coded data FF is followed by a stuffed 00 or is a restart marker; in JPEG-LS by a bit 0.
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7]", re.DOTALL)
_MARKER_LS: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xff]", re.DOTALL)


class Unrecognisable(Exception):
    """The bytes are not what the transfer syntax says; str(self) is the finding."""


def walk_jpeg(source: Pulled, findings: Findings) -> Steps:
    """Read one codestream up to its EOI, and note what it holds beside the picture."""
    if (yield from source.take(2)) != b"\xff\xd8":
        raise Unrecognisable("what is no JPEG codestream")
    entropy = _MARKER
    marker = _SOI
    while marker != _EOI:
        if marker == _SOS:
            yield from _segment(source, marker, findings)
            source.lacks = b"\xff\xd9"
            found = yield from source.find(entropy)
            source.lacks = b""
        elif marker in _ALONE or marker == _SOI:
            found = yield from source.take(2)
        else:
            if marker == _LS_FRAME:
                entropy = _MARKER_LS
            yield from _segment(source, marker, findings)
            found = yield from source.take(2)
        while found == b"\xff\xff":  # fill bytes
            found = b"\xff" + (yield from source.take(1))
        marker = found[1]
        if marker == _SOI:
            raise Unrecognisable(NO_END)
        if found[0] != 0xFF or (marker < 0xC0 and marker != 0x01):
            raise Unrecognisable("bytes that are no JPEG marker")


def _segment(source: Pulled, marker: int, findings: Findings) -> Steps:
    length = int.from_bytes((yield from source.take(2)), "big")
    if length < 2:
        raise Unrecognisable("a JPEG marker segment without its length")
    if marker not in _NO_PICTURE:
        whole = length - 2 <= pixel_jpeg_segments.LONGEST
        if whole:
            whole = pixel_jpeg_segments.nothing_else(marker, (yield from source.take(length - 2)))
        else:
            yield from source.skip(length - 2)
        if not whole:
            findings.note("a JPEG marker segment with more than it has to say")
        return
    start = yield from source.take(min(length - 2, 14))
    kept = _kept(marker, start)
    body = source.taken - len(start)
    findings.wipe(body + kept, body + length - 2)
    if (usual := _usual(marker, start[:kept])) != start[:kept]:
        findings.wipe(body, body + kept, by=usual)
        findings.note(_NO_PICTURE[marker])
    zeros = yield from source.skip_zeros(length - 2 - len(start))
    if start[kept:].strip(b"\0") or not zeros:
        findings.note(_NO_PICTURE[marker])


def _kept(marker: int, start: bytes) -> int:
    """How many bytes of an application segment decoders need: those that say which colours the samples are."""
    if marker == 0xE0 and start[:5] == b"JFIF\0" and len(start) == 14:
        return 12  # all but the thumbnail and its size
    if marker == 0xEE and start[:5] == b"Adobe" and len(start) >= 12 and start[11] <= 2:
        return 12
    if marker == 0xE8 and start[:4] == b"mrfx" and len(start) >= 5:
        return 5  # JPEG-LS: the colour transform
    return 0


def _usual(marker: int, kept: bytes) -> bytes:
    """What is kept of a segment, with numbers that its writers give in what no decoder reads."""
    if marker == 0xE0 and kept and not (kept[5] == 1 and kept[6] <= 2 and kept[7] <= 2):
        return b"JFIF\0\1\2\0\0\1\0\1"
    if marker == 0xEE and kept and (kept[5] or int.from_bytes(kept[7:9]) & 0x3FFF or any(kept[9:11])):
        return b"Adobe\0\x64\0\0\0\0" + kept[11:]
    return kept
