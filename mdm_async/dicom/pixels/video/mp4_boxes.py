"""The boxes of an MP4 file that describe its video (ISO 14496-12): numbers stay, texts, times and languages go.

Each function takes a box's content and gives what it becomes, of the same length. They raise Unrecognisable;
struct.error and IndexError where the content is too short.
"""

import struct
from collections.abc import Callable
from typing import Final

from mdm_async.dicom.pixels.jpeg import Unrecognisable
from mdm_async.dicom.pixels.video.tables import AUDIO, NO_VIDEO

_MORE: Final = "an MP4 box with more than it has to say"
_ONE, _WHOLE = 0x10000, 0x40000000
_MOST_EDITS: Final = 4
_NORMAL_RATE: Final = b"\0\1\0\0"
_UNDETERMINED: Final = 0x55C4
"""The language code und."""
_BRANDS: Final = frozenset(
    {
        b"isom",
        b"mp41",
        b"mp42",
        b"avc1",
        b"hvc1",
        b"hev1",
        b"qt  ",
        b"M4V ",
        b"M4VH",
        b"M4VP",
        b"dash",
        b"msdh",
    }
    | {b"3gp4", b"3gp5", b"3gp6", b"3g2a", b"mmp4", b"MSNV", b"XAVC", b"f4v "}
    | {b"iso%d" % number for number in range(1, 10)}
)


def brands(body: bytes) -> bytes:
    """ftyp (§4.3): an unknown brand becomes the one that every reader knows."""
    _demand(len(body) >= 8 and len(body) % 4 == 0)
    names = [body[at : at + 4] for at in range(0, len(body), 4)]
    version = names[1] if names[1][:2] == b"\0\0" else bytes(4)
    known = [name if name in _BRANDS else b"isom" for name in names]
    return b"".join((known[0], version, *known[2:]))


def movie_header(body: bytes) -> bytes:
    """mvhd (§8.2.2): timescale, duration, rate, volume and a matrix."""
    begin, times = _times(body, 2)
    timescale_and_duration = body[begin + times : begin + times + 4 + times // 2]
    rest = body[begin + times + 4 + times // 2 :]
    _demand(len(rest) == 6 + 10 + 36 + 24 + 4)
    _matrix(rest[16:52])
    return (
        body[:begin]
        + bytes(times)
        + timescale_and_duration
        + rest[:6]
        + bytes(10)
        + rest[16:52]
        + bytes(24)
        + rest[76:]
    )


def track_header(body: bytes) -> bytes:
    """tkhd (§8.3.2): number, duration, layer, group, volume, matrix, width and height."""
    begin, times = _times(body, 2)
    track = body[begin + times : begin + times + 4]
    duration = body[begin + times + 8 : begin + times + 8 + times // 2]
    rest = body[begin + times + 8 + times // 2 :]
    _demand(len(rest) == 8 + 8 + 36 + 8)
    _matrix(rest[16:52])
    return (
        body[:begin]
        + bytes(times)
        + track
        + bytes(4)
        + duration
        + bytes(8)
        + rest[8:14]
        + bytes(2)
        + rest[16:]
    )


def media_header(body: bytes) -> bytes:
    """mdhd (§8.4.2): timescale and duration."""
    begin, times = _times(body, 2)
    rest = body[begin + times :]
    _demand(len(rest) == 4 + times // 2 + 4)
    return body[:begin] + bytes(times) + rest[:-4] + struct.pack(">HH", _UNDETERMINED, 0)


def handler(body: bytes) -> bytes:
    """hdlr (§8.4.3). Raises Unrecognisable for a track that is no video."""
    _demand(len(body) >= 20)
    kind = body[8:12]
    if kind != b"vide":
        raise Unrecognisable(AUDIO if kind == b"soun" else NO_VIDEO)
    return body[:4] + bytes(4) + kind + bytes(len(body) - 12)


def edits(body: bytes) -> bytes:
    """elst (§8.6.6): which stretches are shown, few, each as fast as it was taken."""
    body = _table(12, 20)(body)
    size = 20 if body[0] == 1 else 12
    _demand(len(body) <= 8 + _MOST_EDITS * size)
    _demand(all(body[at - 4 : at] == _NORMAL_RATE for at in range(8 + size, len(body) + 1, size)))
    return body


def video_header(body: bytes) -> bytes:
    """vmhd (§12.1.2): how to draw over what is there."""
    _demand(len(body) == 12)
    return body[:4] + bytes(8)


def references(body: bytes) -> bytes:
    """dref (§8.7.2): the media are in this file."""
    if body[:8] != struct.pack(">LL", 0, 1) or body[8:] not in _HERE:
        raise Unrecognisable("media outside of the MP4 file")
    return body


_HERE: Final = tuple(struct.pack(">L4sL", 12, name, 1) for name in (b"url ", b"alis"))


def _table(entry: int, second: int | None = None) -> Callable[[bytes], bytes]:
    """A box of version, flags, a count and as many entries of some bytes (in version 1, of others)."""

    def numbers(body: bytes) -> bytes:
        version, count = body[0], struct.unpack_from(">L", body, 4)[0]
        _demand(len(body) == 8 + count * (second if version == 1 and second else entry))
        return body

    return numbers


DESCRIBING: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"ftyp": brands,
    b"mvhd": movie_header,
    b"tkhd": track_header,
    b"elst": edits,
    b"mdhd": media_header,
    b"hdlr": handler,
    b"vmhd": video_header,
    b"dref": references,
    b"stts": _table(8),
    b"ctts": _table(8),
    b"stss": _table(4),
}


def _times(body: bytes, count: int) -> tuple[int, int]:
    """Where a full box's times begin, and how many bytes `count` of them take."""
    _demand(body[:1] in (b"\0", b"\1") and len(body) >= 20)
    return 4, count * (8 if body[0] else 4)


def _matrix(matrix: bytes) -> None:
    """Turns and moves of the picture: other numbers are none of those."""
    a, b, u, c, d, v, _, _, w = struct.unpack(">9l", matrix)
    _demand({a, b, c, d} <= {0, _ONE, -_ONE} and u == v == 0 and w == _WHOLE)


def _demand(condition: bool) -> None:
    if not condition:
        raise Unrecognisable(_MORE)
