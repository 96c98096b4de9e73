"""Walk JPEG 2000 (and HTJ2K) codestreams by their marker segments, and the JP2 boxes around them, undecoded.

ISO 15444-1 Annex A (codestream) and Annex I (boxes).
"""

import re
from typing import Final

from mdm_async.dicom.jpeg import NO_END, Unrecognisable
from mdm_async.dicom.pulled import Count, Pulled, Steps

_SOC, _COM, _SOT, _SOD, _EOC = b"\xff\x4f", b"\xff\x64", b"\xff\x90", b"\xff\x93", b"\xff\xd9"

# Packet data never holds FF90 to FFFF but for the in-bit-stream markers SOP (91) and EPH (92).
_AFTER_PACKETS: Final = re.compile(rb"\xff[\x90\x93-\xff]", re.DOTALL)

_JP2_SIGNATURE: Final = b"\0\0\0\x0cjP  \r\n\x87\n"
_SUPERBOXES: Final = frozenset({b"jp2h", b"res "})
_BOXES: Final = frozenset({b"ftyp", b"ihdr", b"bpcc", b"colr", b"pclr", b"cmap", b"cdef", b"resc", b"resd"})
_COMMENT: Final = "JPEG 2000 comment"


def walk_jpeg2000(source: Pulled, findings: dict[str, None]) -> Steps:
    """Read one codestream, raw or in JP2 boxes, up to its end, and note what it holds beside the picture."""
    start = yield from source.take(2)
    if start == _SOC:
        yield from _codestream(source, findings)
    elif start == _JP2_SIGNATURE[:2] and (yield from source.take(10)) == _JP2_SIGNATURE[2:]:
        yield from _boxes(source, findings)
    else:
        raise Unrecognisable("what is no JPEG 2000 codestream")


def _codestream(source: Pulled, findings: dict[str, None]) -> Steps:
    """From after SOC up to EOC."""
    tile_part_end = 0  # unknown
    marker = yield from source.take(2)
    while marker != _EOC:
        if marker[0] != 0xFF or marker[1] < 0x30:
            raise Unrecognisable("bytes that are no JPEG 2000 marker")
        if marker == _SOD and not tile_part_end:
            marker = yield from source.find(_AFTER_PACKETS)
            continue
        if marker == _SOD:
            # The tile-part says where it ends: bytes between that and the next marker cannot hide.
            yield from source.skip(max(0, tile_part_end - source.taken))
        elif marker == _SOT:
            tile_part_end = yield from _tile_part_end(source)
        elif marker == _SOC:
            raise Unrecognisable(NO_END)
        elif not 0x30 <= marker[1] <= 0x3F:
            if marker == _COM:
                findings[_COMMENT] = None
            yield from source.skip((yield from _segment_length(source)))
        marker = yield from source.take(2)


def _tile_part_end(source: Pulled) -> Count:
    """Take an SOT segment: where its tile-part ends, as a count of bytes taken; 0 when it goes on to EOC."""
    begin = source.taken - 2
    if (yield from _segment_length(source)) != 8:
        raise Unrecognisable("a JPEG 2000 tile-part header of the wrong length")
    fields = yield from source.take(8)
    length = int.from_bytes(fields[2:6], "big")
    return begin + length if length else 0


def _segment_length(source: Pulled) -> Count:
    """Bytes of a marker segment after its length field."""
    length = int.from_bytes((yield from source.take(2)), "big")
    if length < 2:
        raise Unrecognisable("a JPEG 2000 marker segment without its length")
    return length - 2


def _boxes(source: Pulled, findings: dict[str, None]) -> Steps:
    """From after the signature box up to the end of the codestream; what follows it is not part of the picture."""
    while True:
        begin = source.taken
        header = yield from source.take(8)
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        if length == 1:
            length = int.from_bytes((yield from source.take(8)), "big")
        if kind == b"jp2c":
            if (yield from source.take(2)) != _SOC:
                raise Unrecognisable("a JPEG 2000 box without its codestream")
            yield from _codestream(source, findings)
            return
        if kind in _SUPERBOXES:
            continue
        if kind not in _BOXES:
            findings["JPEG 2000 metadata box"] = None
        if length < source.taken - begin:
            raise Unrecognisable("a JPEG 2000 box without its length")
        yield from source.skip(begin + length - source.taken)
