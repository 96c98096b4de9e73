"""Walk the marker segments of JPEG and JPEG-LS codestreams (ISO 10918-1 Annex B, ISO 14495-1 Annex C), undecoded."""

import re
from collections.abc import Iterator
from typing import Final

from mdm_async.dicom.pulled import Pulled, Steps

_SOI, _EOI, _SOS, _COM = 0xD8, 0xD9, 0xDA, 0xFE
_APP, _JPG = range(0xE0, 0xF0), range(0xF0, 0xFE)
_LS_FRAME, _LS_PARAMETERS = 0xF7, 0xF8
NO_END: Final = "a codestream without its end"

_ALONE: Final = frozenset([0x01, *range(0xD0, 0xD8)])

# In entropy-coded data FF is followed by a stuffed 00 or is a restart marker; in JPEG-LS by a bit 0.
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7]", re.DOTALL)
_MARKER_LS: Final = re.compile(rb"\xff[\x80-\xcf\xd8-\xff]", re.DOTALL)


class Unrecognisable(Exception):
    """The bytes are not what the transfer syntax says; str(self) is the finding."""


def walk_jpeg(source: Pulled, findings: dict[str, None]) -> Steps:
    """Read one codestream up to its EOI, and note what it holds beside the picture."""
    if (yield from source.take(2)) != b"\xff\xd8":
        raise Unrecognisable("what is no JPEG codestream")
    entropy = _MARKER
    marker = _SOI
    while marker != _EOI:
        if marker == _SOS:
            yield from _segment(source, marker, findings)
            found = yield from source.find(entropy)
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


def _segment(source: Pulled, marker: int, findings: dict[str, None]) -> Steps:
    length = int.from_bytes((yield from source.take(2)), "big")
    if length < 2:
        raise Unrecognisable("a JPEG marker segment without its length")
    start = yield from source.take(min(length - 2, 14))
    for finding in _about(marker, length, start):
        findings[finding] = None
    yield from source.skip(length - 2 - len(start))


def _about(marker: int, length: int, start: bytes) -> Iterator[str]:
    if marker == _COM:
        yield "JPEG comment"
    elif marker in _APP:
        plain_jfif = marker == 0xE0 and length == 16 and start[:5] == b"JFIF\0" and start[12:14] == b"\0\0"
        adobe = marker == 0xEE and length == 14 and start[:5] == b"Adobe"
        if not plain_jfif and not adobe:
            yield f"JPEG application segment APP{marker - 0xE0}"
    elif marker in _JPG and marker not in (_LS_FRAME, _LS_PARAMETERS):
        yield "JPEG extension segment"
