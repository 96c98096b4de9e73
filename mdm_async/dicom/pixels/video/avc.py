"""The kinds of H.264 units, and what their parameter sets say (ISO 14496-10 §7.3.2, §E.1): that, and no more."""

from typing import Final

from mdm_async.dicom.pixels.video.bits import Bits
from mdm_async.dicom.pixels.video.units import Codec, Kinds

_HIGH_PROFILES: Final = frozenset({100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139})
_MULTIVIEW: Final = frozenset({118, 128})
_WHOLE_SAMPLE_ASPECT: Final = 255
_MOST: Final = 256
"""More than any count in a parameter set can be."""


def _sequence(body: bytes) -> bool:
    bits = Bits(body)
    _sequence_data(bits)
    return bits.ends_here


def _subset_sequence(body: bytes) -> bool:
    """Of a second view (§H.7.3.2.1.4); those of scalable and depth coding are in no transfer syntax of DICOM."""
    bits = Bits(body)
    profile = _sequence_data(bits)
    if profile not in _MULTIVIEW or not bits.flag():
        return False
    views = bits.ue() + 1
    if views > _MOST:
        return False
    for _ in range(views):
        bits.ue()
    for _anchors_or_not in range(2):
        for _ in range(1, views):
            for _direction in range(2):
                if not _numbers(bits, bits.ue()):
                    return False
    levels = bits.ue() + 1
    if levels > _MOST:
        return False
    for _ in range(levels):
        bits.u(8)
        operations = bits.ue() + 1
        if operations > _MOST:
            return False
        for _ in range(operations):
            bits.u(3)
            if not _numbers(bits, bits.ue() + 1):
                return False
            bits.ue()
    return not bits.flag() and not bits.flag() and bits.ends_here


def _numbers(bits: Bits, count: int) -> bool:
    """Step over so many; False if they are too many."""
    if count > _MOST:
        return False
    for _ in range(count):
        bits.ue()
    return True


def _sequence_data(bits: Bits) -> int:
    """Step over seq_parameter_set_data, and give the profile."""
    profile = bits.u(8)
    bits.u(16)  # constraints and level
    bits.ue()
    if profile in _HIGH_PROFILES:
        chroma = bits.ue()
        if chroma == 3:
            bits.flag()
        bits.ue()
        bits.ue()
        bits.flag()
        if bits.flag():
            _scaling_lists(bits, 12 if chroma == 3 else 8)
    bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.flag()
        bits.se()
        bits.se()
        for _ in range(min(bits.ue(), _MOST)):
            bits.se()
    bits.ue()
    bits.flag()
    bits.ue()
    bits.ue()
    if not bits.flag():  # interlaced
        bits.flag()
    bits.flag()
    if bits.flag():  # cropping
        for _ in range(4):
            bits.ue()
    if bits.flag():
        _usability(bits)
    return profile


def _scaling_lists(bits: Bits, count: int) -> None:
    for number in range(count):
        if bits.flag():
            last = following = 8
            for _ in range(16 if number < 6 else 64):
                if following:
                    following = (last + bits.se() + 256) % 256
                last = following or last


def _usability(bits: Bits) -> None:
    """vui_parameters (§E.1.1)."""
    if bits.flag() and bits.u(8) == _WHOLE_SAMPLE_ASPECT:
        bits.u(32)
    if bits.flag():
        bits.flag()
    if bits.flag():
        bits.u(4)
        if bits.flag():
            bits.u(24)
    if bits.flag():
        bits.ue()
        bits.ue()
    if bits.flag():
        bits.u(65)
    references = [bits.flag() and _reference_decoder(bits) for _ in range(2)]
    if any(references):
        bits.flag()
    bits.flag()
    if bits.flag():
        bits.flag()
        for _ in range(6):
            bits.ue()


def _reference_decoder(bits: Bits) -> bool:
    """hrd_parameters (§E.1.2)."""
    schedules = min(bits.ue() + 1, _MOST)
    bits.u(8)
    for _ in range(schedules):
        bits.ue()
        bits.ue()
        bits.flag()
    bits.u(20)
    return True


def _picture(body: bytes) -> bool:
    """Of 4:2:0 pictures: others, which are in no transfer syntax of DICOM, may have more scaling lists."""
    bits = Bits(body)
    bits.ue()
    bits.ue()
    bits.u(2)
    if bits.ue():
        return False  # slice groups: not in the profiles that DICOM names
    bits.ue()
    bits.ue()
    bits.u(3)
    bits.se()
    bits.se()
    bits.se()
    bits.u(3)
    if bits.more:
        transform_8x8 = bits.flag()
        if bits.flag():
            _scaling_lists(bits, 6 + 2 * transform_8x8)
        bits.se()
    return bits.ends_here


def _extension(body: bytes) -> bool:
    """Of auxiliary pictures."""
    bits = Bits(body)
    bits.ue()
    if bits.ue():
        depth = bits.ue()
        bits.flag()
        bits.u(2 * (depth + 9) if depth < 5 else 0)
    return not bits.flag() and bits.ends_here


_KINDS: Final = Kinds(
    kind=lambda header: header[0] & 0x1F,
    pictures=frozenset({1, 2, 3, 4, 5, 19, 20}),
    parameters={
        7: _sequence,
        8: _picture,
        13: _extension,
        14: lambda body: len(body) == 3,
        15: _subset_sequence,
    },
    markers={9: 1, 10: 0, 11: 0},
    sei=frozenset({6}),
    keeps_recovery_points=True,
)
AVC: Final = Codec(
    header=1,
    stream_types=frozenset({0x1B}),
    unit=_KINDS.unit,
    sample_entries=frozenset({b"avc1", b"avc3"}),
    configuration=b"avcC",
)
