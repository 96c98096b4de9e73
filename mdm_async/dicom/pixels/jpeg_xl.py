"""Walk JPEG XL pictures, bare codestreams or in boxes (ISO 18181-2), undecoded."""

from typing import Final

from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.jpeg import Unrecognisable
from mdm_async.dicom.pixels.jpeg_xl_headers import walk_codestream
from mdm_async.dicom.pixels.pulled import Pulled, Steps

SIGNATURE: Final = b"\xff\x0a"
CONTAINER: Final = b"\0\0\0\x0cJXL \r\n\x87\n"
_BOX: Final = "JPEG XL metadata box"
"""Exif, XMP, what a JPEG file had beside its picture (jbrd), compressed boxes (brob), and all that is not known."""
_AFTER: Final = "bytes after the end of a JPEG XL codestream"
CLEANABLE: Final = frozenset({_BOX, _AFTER})

_FREE: Final = b"free"
_FILE_TYPE: Final = b"jxl \0\0\0\0jxl "
_LEVELS: Final = (b"\x05", b"\x0a")
_DESCRIBING: Final = {b"ftyp": len(_FILE_TYPE), b"jxll": 1}
_WHOLE, _PART = b"jxlc", b"jxlp"


def walk_jpeg_xl(source: Pulled, findings: Findings) -> Steps:
    """Read one picture up to the end of its codestream, and note what it holds beside the picture."""
    start = yield from source.take(2)
    if start == CONTAINER[:2] and (yield from source.take(10)) == CONTAINER[2:]:
        yield from _boxes(source, findings)
    elif start == SIGNATURE:
        yield from walk_codestream(source)
    else:
        raise Unrecognisable("what is no JPEG XL codestream")


class _Codestream:
    """That which lies in boxes, whole or in parts."""

    def __init__(self) -> None:
        self.ended = False
        self._fed = 0
        self._source = Pulled()
        self._steps = self._walk()
        next(self._steps)

    def feed(self, some: bytes) -> int:
        """Take the next bytes; how many of them come after its end."""
        before = self.ended
        self._fed += len(some)
        self._steps.send(some)
        if before:
            return len(some)
        return self._fed - self._source.taken if self.ended else 0

    def _walk(self) -> Steps:
        if (yield from self._source.take(2)) != SIGNATURE:
            raise Unrecognisable("what is no JPEG XL codestream")
        yield from walk_codestream(self._source)
        self.ended = True
        while True:
            yield


def _boxes(source: Pulled, findings: Findings) -> Steps:
    """From after the signature box up to the end of the box in which the codestream ends."""
    codestream, parts = _Codestream(), 0
    while not codestream.ended:
        begin = source.taken
        header = yield from source.take(8)
        length, kind = int.from_bytes(header[:4], "big"), header[4:]
        if length == 1:
            length = int.from_bytes((yield from source.take(8)), "big")
        end = begin + length if length else None
        if kind == _PART:
            number = int.from_bytes((yield from source.take(4)), "big")
            if number & 0x7FFFFFFF != parts:
                raise Unrecognisable("parts of a JPEG XL codestream in an order of their own")
            parts += 1
        if end is not None and end < source.taken:
            raise Unrecognisable("a JPEG XL box without its length")
        if kind in (_WHOLE, _PART):
            yield from _payload(source, end, codestream, findings)
        elif end is None:
            raise Unrecognisable("a JPEG XL box without its length")
        elif end - source.taken == _DESCRIBING.get(kind):
            body = yield from source.take(end - source.taken)
            if body not in (_FILE_TYPE, *_LEVELS):
                findings.note("a JPEG XL box with more than it has to say")
        else:
            findings.wipe(begin + 4, begin + 8, by=_FREE)
            findings.wipe(source.taken, end)
            zeros = yield from source.skip_zeros(end - source.taken)
            if kind != _FREE or not zeros:
                findings.note(_BOX)


def _payload(source: Pulled, end: int | None, codestream: _Codestream, findings: Findings) -> Steps:
    """A box of the codestream; one without a length ends with the codestream."""
    while source.taken != end and not (codestream.ended and end is None):
        some = yield from source.rest(None if end is None else end - source.taken)
        if after := codestream.feed(some):
            findings.wipe(source.taken - after, source.taken)
            if some[-after:].strip(b"\0"):
                findings.note(_AFTER)
