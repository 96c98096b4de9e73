"""The tables of a transport stream that say which packets are the video (PSI: ISO 13818-1 §2.4.4), cleaned in place."""

from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.pixels.jpeg import Unrecognisable

_PROGRAMS, _STREAMS = 0x00, 0x02
_PRIVATE_DESCRIPTOR: Final = 0xFE
_NUMERIC: Final = {
    0x02: (1, 3),
    0x06: (1, 1),
    0x0C: (4, 4),
    0x0E: (3, 3),
    0x10: (6, 6),
    0x28: (4, 4),
    0x2A: (2, 15),
}
"""Descriptors of numbers, with the least and the most bytes: of video streams, alignment, rates and buffers."""
_REGISTERED: Final = frozenset({b"HDMV", b"HEVC"})
"""Formats that decoders look for in a registration descriptor."""
_REGISTRATION: Final = 0x05
_AUDIO: Final = frozenset({0x03, 0x04, 0x0F, 0x11, 0x1C, 0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87})
"""Stream types of sound; of others that are no video there are text, time codes and private data."""
AUDIO: Final = "an audio track in the video"
NO_VIDEO: Final = "a track that is no video"
_MANY: Final = "a transport stream of several programs or streams"


def programs(payload: bytes) -> tuple[bytes, int]:
    """A Program Association Table, and in which packets its one program's table is. Raises Unrecognisable."""
    section = _section(payload, _PROGRAMS)
    entries = [section[at : at + 4] for at in range(8, len(section) - 4, 4)]
    found = [int.from_bytes(entry[2:], "big") & 0x1FFF for entry in entries if entry[:2] != b"\0\0"]
    if len(found) != 1 or len(section) % 4:
        raise Unrecognisable(_MANY)
    return section, found[0]


@dataclass(frozen=True, slots=True)
class Streams:
    """A Program Map Table of one program with one stream, the video."""

    section: bytes
    """The table, without descriptions."""
    clock: int
    """In which packets its clock is."""
    video: int
    kind: int

    @classmethod
    def of(cls, payload: bytes) -> "Streams":
        """Raises Unrecognisable, also where a stream is no video."""
        section = bytearray(_section(payload, _STREAMS))
        clock = _number(section, 8) & 0x1FFF
        at = _descriptors(section, 10)
        if at + 5 > len(section) - 4:
            raise Unrecognisable("a transport stream without video")
        kind, video = section[at], _number(section, at + 1) & 0x1FFF
        if kind in _AUDIO:
            raise Unrecognisable(AUDIO)
        at = _descriptors(section, at + 3)
        if at != len(section) - 4:
            raise Unrecognisable(AUDIO if section[at] in _AUDIO else NO_VIDEO)
        body = bytes(section[:-4])
        return cls(body + _checksum(body).to_bytes(4, "big"), clock, video, kind)


def _section(payload: bytes, table: int) -> bytes:
    """The one section that begins and ends within a packet."""
    length = 3 + (_number(payload, 2) & 0x0FFF)
    section = payload[1 : 1 + length]
    if payload[0] or payload[1] != table or not 12 <= length <= len(payload) - 1 or section[6:8] != b"\0\0":
        raise Unrecognisable("a table of a transport stream that is not looked into")
    if _checksum(section):
        raise Unrecognisable("a damaged table of a transport stream")
    return section


def _descriptors(section: bytearray, at: int) -> int:
    """Clean the descriptors behind their length, and give where they end."""
    if at + 2 > len(section) - 4:
        raise Unrecognisable("a table of a transport stream that is not looked into")
    end = at + 2 + (_number(section, at) & 0x0FFF)
    at += 2
    while at < end <= len(section) - 4 and at + 2 <= end:
        tag, length = section[at], section[at + 1]
        content = section[at + 2 : at + 2 + length]
        least, most = _NUMERIC.get(tag, (1, 0))
        registered = tag == _REGISTRATION and bytes(content) in _REGISTERED
        if at + 2 + length > end:
            break
        if not (least <= length <= most or registered):
            section[at] = _PRIVATE_DESCRIPTOR
            section[at + 2 : at + 2 + length] = bytes(length)
        at += 2 + length
    if at != end:
        raise Unrecognisable("a table of a transport stream that is not looked into")
    return end


def _number(data: bytes | bytearray, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _checksum(data: bytes) -> int:
    """CRC-32 of ISO 13818-1 Annex A; 0 over data that ends with its own."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc
