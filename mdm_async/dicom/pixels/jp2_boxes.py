"""Walk the JP2 boxes in front of a JPEG 2000 codestream, and note what they hold beside the picture.

ISO 15444-1 Annex I. DICOM wants the codestream alone (PS3.5 §A.4.4), and says in attributes what boxes say.
"""

from typing import Final

from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.jpeg import Unrecognisable
from mdm_async.dicom.pixels.pulled import Pulled, Steps

_SUPERBOXES: Final = frozenset({b"jp2h", b"res "})
_FREE: Final = b"free"
_BOX: Final = "JPEG 2000 metadata box"
_PROFILE: Final = "JPEG 2000 colour profile"
CLEANABLE: Final = frozenset({_BOX, _PROFILE})

_DESCRIBING: Final = frozenset({b"ftyp", b"ihdr", b"bpcc", b"cdef", b"resc", b"resd"})
_REMAPPING: Final = frozenset({b"pclr", b"cmap"})
"""A palette and its use: they cannot go, and a palette can hold anything."""
_BRANDS: Final = frozenset(
    {b"jp2 ", b"jpx ", b"jpxb", b"jpm ", b"jph ", b"jpch", b"mjp2", b"mj2s", b"J2P0", b"J2P1"}
)
_ENUMERATED: Final = {b"RGB ": 16, b"GRAY": 17}
"""sRGB and greyscale, by the colour space of an ICC profile."""
_NEW_COLOUR: Final = 15
"""Bytes of a Colour Specification box that names one of these."""
_LONGEST: Final = 4096
"""Bytes of a describing box that are looked at."""


def walk_boxes(source: Pulled, findings: Findings) -> Steps:
    """From after the signature box up to the begin of the codestream."""
    components = 0
    while True:
        begin = source.taken
        header = yield from source.take(8)
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        if length == 1:
            length = int.from_bytes((yield from source.take(8)), "big")
        if kind == b"jp2c":
            return
        if kind in _SUPERBOXES:
            continue
        if length < source.taken - begin:
            raise Unrecognisable("a JPEG 2000 box without its length")
        end = begin + length
        if kind == b"colr":
            yield from _colour(source, begin, end, findings)
        elif kind in _DESCRIBING and end - source.taken <= _LONGEST:
            body = yield from source.take(end - source.taken)
            if kind == b"ihdr":
                components = int.from_bytes(body[8:10], "big")
            if not _nothing_else(kind, body, components):
                findings.note("a JPEG 2000 box with more than it has to say")
        elif kind in _DESCRIBING | _REMAPPING:
            findings.note("a JPEG 2000 box that is not looked into")
            yield from source.skip(end - source.taken)
        else:
            findings.wipe(begin + 4, begin + 8, by=_FREE)
            findings.wipe(source.taken, end)
            zeros = yield from source.skip_zeros(end - source.taken)
            if kind != _FREE or not zeros:
                findings.note(_BOX)


def _nothing_else(kind: bytes, body: bytes, components: int) -> bool:
    """Whether the box is what its kind says (§I.5), to the last byte; of a picture of so many components."""
    if kind == b"ftyp":
        brands = [body[at : at + 4] for at in (0, *range(8, len(body), 4))]
        return len(body) >= 8 and set(brands) <= _BRANDS
    if kind == b"bpcc":
        return len(body) == components and all(depth & 0x7F < 38 for depth in body)
    if kind == b"cdef":
        channels = [int.from_bytes(body[at : at + 2], "big") for at in range(0, len(body), 2)]
        return (
            len(body) >= 2
            and len(body) == 2 + 6 * channels[0]
            and all(number < components for number in channels[1::3])
            and all(use in (0, 1, 2, 0xFFFF) for use in channels[2::3])
            and all(colour in (*range(5), 0xFFFF) for colour in channels[3::3])
        )
    return len(body) == (14 if kind == b"ihdr" else 10)


def _colour(source: Pulled, begin: int, end: int, findings: Findings) -> Steps:
    """A Colour Specification box (§I.5.3.3). An ICC profile has free texts; in its stead its colour space is named.

    Decoded samples stay the same: it is DICOM's Photometric Interpretation that says what they mean.
    """
    body = yield from source.take(min(end - source.taken, 3 + 20))
    method, space = body[:1], _ENUMERATED.get(body[3 + 16 :])
    if method == b"\1" and end - begin == _NEW_COLOUR:
        return
    if method in (b"\2", b"\3") and space and end - begin <= 0xFFFFFFFF:
        named = _NEW_COLOUR.to_bytes(4, "big") + b"colr\1\0\0" + space.to_bytes(4, "big")
        rest = (end - begin - _NEW_COLOUR).to_bytes(4, "big") + _FREE
        findings.wipe(begin, end, by=named + rest)
        findings.note(_PROFILE)
    else:
        findings.note("a JPEG 2000 colour space that is not looked into")
    yield from source.skip(end - source.taken)
