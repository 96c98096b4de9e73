"""The units of an MPEG-2 video stream (ISO 13818-2 §6.2): headers say what they have to say, user data goes."""

from typing import Final

from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.jpeg import Unrecognisable
from mdm_async.dicom.pixels.video.units import Codec, Unit

USER_DATA: Final = "MPEG-2 user data"
TIME_CODE: Final = "an MPEG-2 time code"
CLEANABLE: Final = frozenset({USER_DATA, TIME_CODE})

_PICTURE, _USER_DATA, _SEQUENCE, _EXTENSION, _END, _GROUP = 0x00, 0xB2, 0xB3, 0xB5, 0xB7, 0xB8
_SLICES: Final = range(0x01, 0xB0)
_SEQUENCE_EXTENSION, _DISPLAY, _MATRICES, _COPYRIGHT, _PAN_SCAN, _CODING = 1, 2, 3, 4, 7, 8
_LONGEST: Final = 300
"""Bytes: four matrices, and a little."""
_MORE: Final = "an MPEG-2 header with more than it has to say"


def _unit(header: bytes, findings: Findings) -> Unit:
    """Raises Unrecognisable."""
    code = header[0]
    if code in _SLICES:
        return _Slice()
    if code == _USER_DATA:
        return _UserData(findings)
    if code in (_PICTURE, _SEQUENCE, _EXTENSION, _END, _GROUP):
        return _Header(code, findings)
    raise Unrecognisable("an MPEG-2 unit that is no video")


class _Slice:
    def __init__(self) -> None:
        self._start = b""
        """Its first two bytes."""

    def feed(self, piece: bytes, at: int) -> None:
        if len(self._start) < 2:
            self._start += piece[: 2 - len(self._start)]
            if len(self._start) == 2:
                self._check()

    def end(self) -> None:
        if len(self._start) == 1:
            self._check()

    def _check(self) -> None:
        """Information in a slice's header (extra_bit_slice) is for nobody yet: there is none."""
        # After the quantiser's five bits, a 1 says that eight more follow, and another one after those.
        if self._start[0] & 4 and (len(self._start) < 2 or self._start[1] & 2):
            raise Unrecognisable(_MORE)


class _UserData:
    """Becomes ones, which no start code has."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def feed(self, piece: bytes, at: int) -> None:
        if piece.strip(b"\xff"):
            self._findings.note(USER_DATA)
            self._findings.wipe(at, at + len(piece), by=b"\xff" * len(piece))

    def end(self) -> None:
        pass


class _Header:
    def __init__(self, code: int, findings: Findings) -> None:
        self._code = code
        self._findings = findings
        self._body = b""
        self._end = 0

    def feed(self, piece: bytes, at: int) -> None:
        self._body += piece
        self._end = at + len(piece)
        if len(self._body) > _LONGEST:
            raise Unrecognisable(_MORE)

    def end(self) -> None:
        body = self._body
        begin = self._end - len(body)
        if self._code == _GROUP:
            self._clean_time_code(begin)
        if self._code == _EXTENSION and (not body or body[0] >> 4 == _COPYRIGHT):
            self._findings.note(USER_DATA)
            self._findings.wipe(begin - 1, begin, by=bytes([_USER_DATA]))
            self._findings.wipe(begin, self._end, by=b"\xff" * len(body))
        # Zeros at a header's end belong to the next start code, so it may look shorter than it is.
        elif len(body) > _length(self._code, body.ljust(_LONGEST, b"\0")):
            raise Unrecognisable(_MORE)

    def _clean_time_code(self, begin: int) -> None:
        """A time of day, of some cameras (§6.3.8); what follows it says whether the group is closed."""
        body = self._body.ljust(4, b"\0")
        zero = bytes([0, 0x08, 0, body[3] & 0x60])
        if body[:4] != zero:
            self._findings.note(TIME_CODE)
            self._findings.wipe(begin, self._end, by=zero[: len(self._body)])


def _length(code: int, body: bytes) -> int:
    """Bytes that a header has, of `body` that is long enough."""
    if code == _PICTURE:
        return 5 if body[1] >> 3 & 7 in (2, 3) else 4
    if code == _GROUP:
        return 4
    if code == _SEQUENCE:
        first = body[7] & 2
        second = body[71 if first else 7] & 1
        return 8 + (64 if first else 0) + (64 if second else 0)
    if code == _EXTENSION:
        kind = body[0] >> 4
        if kind == _SEQUENCE_EXTENSION:
            return 6
        if kind == _DISPLAY:
            return 8 if body[0] & 1 else 5
        if kind == _MATRICES:
            return 1 + 64 * _matrices(body)
        if kind == _PAN_SCAN:
            return 14
        if kind == _CODING:
            return 7 if body[4] & 0x40 else 5
        raise Unrecognisable("an MPEG-2 extension that is not looked into")
    return 0


def _matrices(body: bytes) -> int:
    """How many matrices a quant matrix extension loads: a flag before each of four."""
    bits, at, count = int.from_bytes(body[:_LONGEST], "big"), 4, 0
    for _ in range(4):
        loaded = bits >> (8 * _LONGEST - 1 - at) & 1
        count += loaded
        at += 1 + 512 * loaded
    return count


MPEG2: Final = Codec(header=1, stream_types=frozenset({0x02}), unit=_unit)
