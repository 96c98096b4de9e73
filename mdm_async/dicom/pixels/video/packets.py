"""The packets of an MPEG transport stream and of the video in it (ISO 13818-1 §2.4.3): cleaned in place."""

from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.pixels.jpeg import Unrecognisable

SIZE: Final = 188
NULL: Final = 0x1FFF
NULL_PACKET: Final = b"\x47\x1f\xff\x10" + b"\xff" * (SIZE - 4)
PRIVATE: Final = "private data in a transport stream"
OTHERS: Final = "transport packets beside the video"
TABLES: Final = "descriptions in a transport stream"
CLEANABLE: Final = frozenset({PRIVATE, OTHERS, TABLES})

_ADAPTATION_FIELDS: Final = ((0x10, 6), (0x08, 6), (0x04, 1))
"""Flags and the bytes that each brings: clock references and splice countdown."""
_ADAPTATION_PRIVATE: Final = 0x03
"""Flags of private data and of the extension."""
_HEADER_FIELDS: Final = ((0x20, 6), (0x10, 3), (0x08, 1), (0x04, 1))
"""Of a PES header, behind its time stamps: clock reference, rate, trick mode, copy information."""
_HEADER_PRIVATE: Final = 0x03
"""Flags of a checksum over the packet before, and of an extension with private data."""


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet. Raises Unrecognisable when it is none, or scrambled."""

    data: bytes

    def __post_init__(self) -> None:
        if self.data[0] != 0x47 or self.data[1] & 0x80 or self.data[3] & 0xC0:
            raise Unrecognisable("what is no clear transport packet")
        if not self.data[3] & 0x30 or self.payload > SIZE:
            raise Unrecognisable("a transport packet without content")

    @property
    def pid(self) -> int:
        return int.from_bytes(self.data[1:3], "big") & 0x1FFF

    @property
    def begins(self) -> bool:
        """Whether a table or a PES packet begins with the payload."""
        return bool(self.data[1] & 0x40)

    @property
    def payload(self) -> int:
        """Where it begins; SIZE when there is none."""
        if not self.data[3] & 0x20:
            return 4
        after = 5 + self.data[4]
        return after if self.data[3] & 0x10 or after > SIZE else SIZE

    def without_private_data(self) -> bytes:
        """The packet with an adaptation field that holds clocks and stuffing."""
        if not self.data[3] & 0x20:
            return self.data
        if not self.data[4]:
            return self.data if self.data[3] & 0x10 else self.data[:5].ljust(SIZE, b"\xff")
        flags, end = self.data[5], 5 + self.data[4]
        fixed = 6 + sum(size for flag, size in _ADAPTATION_FIELDS if flags & flag)
        if fixed > end:
            raise Unrecognisable("a transport packet whose clocks do not fit")
        stop = end if self.data[3] & 0x10 else SIZE
        kept = bytes([flags & ~_ADAPTATION_PRIVATE]) + self.data[6:fixed]
        return self.data[:5] + kept + b"\xff" * (stop - fixed) + self.data[stop:]


@dataclass(frozen=True, slots=True)
class PesHeader:
    """The header in front of a piece of the video, which begins a transport packet's payload (§2.4.3.6)."""

    clean: bytes
    """With time stamps and stuffing only."""
    length: int | None
    """Bytes of video that follow; None when it is not told."""

    @classmethod
    def of(cls, payload: bytes) -> "PesHeader":
        """Raises Unrecognisable."""
        size = 9 + payload[8] if len(payload) >= 9 else SIZE
        if payload[:3] != b"\0\0\1" or payload[3] & 0xF0 != 0xE0 or payload[6] & 0xC0 != 0x80:
            raise Unrecognisable("transport packets that carry no video")
        stamps = {0: 0, 2: 5, 3: 10}.get(payload[7] >> 6, SIZE)
        fixed = 9 + stamps + sum(count for flag, count in _HEADER_FIELDS if payload[7] & flag)
        if not fixed <= size <= len(payload):
            raise Unrecognisable("a video packet whose header is not whole")
        flags = payload[7] & ~_HEADER_PRIVATE
        clean = payload[:7] + bytes([flags]) + payload[8:fixed] + b"\xff" * (size - fixed)
        length = int.from_bytes(payload[4:6], "big")
        if length and length < size - 6:
            raise Unrecognisable("a video packet whose header is not whole")
        return cls(clean, length - (size - 6) if length else None)
