"""The units that H.264 and HEVC streams are made of (NAL units: ISO 14496-10 §7.4.1, ISO 23008-2 §7.4.2).

Slices and the parameters to decode them stay. Supplemental information (SEI) becomes as much that says nothing;
what no decoder of DICOM's transfer syntaxes reads is filled with ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from mdm_async.dicom.pixels.findings import Findings
from mdm_async.dicom.pixels.jpeg import Unrecognisable
from mdm_async.dicom.pixels.video.bits import Bits

SEI: Final = "supplemental information (SEI) in a video"
UNKNOWN: Final = "a video unit that is no picture"
CLEANABLE: Final = frozenset({SEI, UNKNOWN})

LONGEST_PARAMETERS: Final = 4096
"""Bytes of a parameter set: scaling lists of all sizes take less."""
_ENDING: Final = 8
"""Bytes at a unit's end that are not looked at before it is known that it ends."""
_RECOVERY_POINT: Final = 6


class Unit(Protocol):
    """One unit, without its header."""

    def feed(self, piece: bytes, at: int) -> None:
        """The next bytes; `at` is where they are in the stream."""

    def end(self) -> None:
        """There are no more."""


@dataclass(frozen=True, slots=True)
class Codec:
    """How a kind of video is made of units."""

    header: int
    """Bytes of a unit's header."""
    stream_types: frozenset[int]
    """What a transport stream calls it (ISO 13818-1 §2.4.4.9)."""
    unit: Callable[[bytes, Findings], Unit]
    """A unit by its header. Raises Unrecognisable."""
    sample_entries: frozenset[bytes] = frozenset()
    """What an MP4 file calls it."""
    configuration: bytes = b""
    """The box that tells an MP4 file's parameter sets."""


@dataclass(frozen=True, slots=True)
class Kinds:
    """What the header of a NAL unit says."""

    kind: Callable[[bytes], int]
    """A header's nal_unit_type."""
    pictures: frozenset[int]
    """The kinds that hold the picture."""
    parameters: Mapping[int, Callable[[bytes], bool]]
    """The kinds that hold what decoding needs; each with a check that it is that and no more, to the last byte."""
    markers: Mapping[int, int]
    """The kinds that hold nothing, or one byte: how many bytes."""
    sei: frozenset[int]
    keeps_recovery_points: bool
    """Decoders need them where a stream has no other point to begin at."""

    def unit(self, header: bytes, findings: Findings) -> Unit:
        """A unit by its header. Raises Unrecognisable."""
        if header[0] & 0x80:
            raise Unrecognisable("what is no video unit")
        kind = self.kind(header)
        if kind in self.pictures:
            return _Picture()
        if kind in self.parameters:
            return _Parameters(self.parameters[kind])
        if kind in self.sei:
            return _Sei(findings, keep=self.keeps_recovery_points)
        return _Filled(findings, self.markers.get(kind))


class _Picture:
    """Slices: what they hold cannot be told without decoding."""

    def feed(self, piece: bytes, at: int) -> None:
        pass

    def end(self) -> None:
        pass


class _Parameters:
    def __init__(self, check: Callable[[bytes], bool]) -> None:
        self._check = check
        self._body = bytearray()

    def feed(self, piece: bytes, at: int) -> None:
        self._body += piece
        if len(self._body) > LONGEST_PARAMETERS:
            raise Unrecognisable("a video parameter set that is none")

    def end(self) -> None:
        if not self._check(bytes(self._body)):
            raise Unrecognisable("a video parameter set with more than it has to say")


class _Overwritten:
    """A unit whose content becomes another, of the same length."""

    finding = UNKNOWN

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._ending = b""
        """Not looked at yet."""
        self._length = 0
        """Bytes before those."""

    def feed(self, piece: bytes, at: int) -> None:
        data = self._ending + piece
        count = max(0, len(data) - _ENDING)
        if count:
            self._become(data[:count], at - len(self._ending), self.wanted(self._length, count))
        self._ending = data[count:]
        self._length += count
        self._after = at + len(piece)

    def end(self) -> None:
        if self._ending and not self.may_stay(self._ending, whole=not self._length):
            wanted = self.wanted_end(self._length, len(self._ending))
            self._become(self._ending, self._after - len(self._ending), wanted)

    def _become(self, what: bytes, at: int, wanted: bytes) -> None:
        if what != wanted:
            self._findings.note(self.finding)
            self._findings.wipe(at, at + len(what), by=wanted)

    def wanted(self, start: int, count: int) -> bytes:
        """The content from `start` on."""
        raise NotImplementedError

    def wanted_end(self, start: int, count: int) -> bytes:
        """The content from `start` up to the end."""
        raise NotImplementedError

    def may_stay(self, ending: bytes, *, whole: bool) -> bool:
        """Whether the last bytes, or the whole unit, tell nothing."""
        return False


class _Filled(_Overwritten):
    """Ones, and the bit that ends every unit: filler data, if the unit is that."""

    def __init__(self, findings: Findings, marker: int | None) -> None:
        super().__init__(findings)
        self._marker = marker

    def wanted(self, start: int, count: int) -> bytes:
        return b"\xff" * count

    def wanted_end(self, start: int, count: int) -> bytes:
        return b"\xff" * (count - 1) + b"\x80"

    def may_stay(self, ending: bytes, *, whole: bool) -> bool:
        return whole and self._marker is not None and len(ending) <= self._marker


class _Sei(_Overwritten):
    """Messages of filler (payload type 3) without any payload: two bytes each, neither of which needs escaping."""

    finding = SEI

    def __init__(self, findings: Findings, *, keep: bool) -> None:
        super().__init__(findings)
        self._keep = keep

    def wanted(self, start: int, count: int) -> bytes:
        return (b"\3\0" * (count // 2 + 1))[start % 2 :][:count]

    def wanted_end(self, start: int, count: int) -> bytes:
        body = self.wanted(start, count - 1)
        if (start + count - 1) % 2 and count >= 4:
            body = body[:-3] + b"\3\1\xff"  # one message has to take the odd byte
        return body + b"\x80"

    def may_stay(self, ending: bytes, *, whole: bool) -> bool:
        """Whether this is one recovery point and nothing else."""
        return (
            self._keep
            and whole
            and ending[:1] == bytes([_RECOVERY_POINT])
            and 4 <= len(ending) == 3 + ending[1]
            and ending[-1:] == b"\x80"
            and _is_recovery_point(ending[2:-1])
        )


def _is_recovery_point(payload: bytes) -> bool:
    """ISO 14496-10 §D.1.8: a number of frames, two flags, two bits, up to a whole byte."""
    bits = Bits(payload)
    frames = bits.ue()
    bits.u(4)
    return frames < 1 << 16 and (bits.ends_here or bits.at_end)
