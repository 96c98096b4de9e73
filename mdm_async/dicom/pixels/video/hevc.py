"""The kinds of HEVC units, and what their parameter sets say (ISO 23008-2 §7.3.2, §E.2): that, and no more."""

from typing import Final

from mdm_async.dicom.pixels.video.bits import Bits
from mdm_async.dicom.pixels.video.units import Codec, Kinds

_WHOLE_SAMPLE_ASPECT: Final = 255
_MOST: Final = 1024
"""More than any count in a parameter set can be."""


def _video(body: bytes) -> bool:
    bits = Bits(body)
    bits.u(12)
    layers = bits.u(3) + 1
    bits.u(17)
    _profile(bits, layers)
    _buffering(bits, layers)
    highest = bits.u(6)
    sets = bits.ue()
    if sets > _MOST:
        return False
    for _ in range(sets):
        bits.u(highest + 1)
    if bits.flag():
        bits.u(64)
        if bits.flag():
            bits.ue()
        references = bits.ue()
        if references > _MOST:
            return False
        for number in range(references):
            bits.ue()
            _reference_decoder(bits, layers, common=number == 0 or bits.flag())
    return not bits.flag() and bits.ends_here


def _profile(bits: Bits, layers: int) -> None:
    """profile_tier_level (§7.3.3)."""
    bits.u(88)
    bits.u(8)
    if layers > 1:
        present = [(bits.flag(), bits.flag()) for _ in range(layers - 1)]
        bits.u(2 * (8 - (layers - 1)))
        for profile, level in present:
            bits.u(88 * profile + 8 * level)


def _buffering(bits: Bits, layers: int) -> None:
    for _ in range(layers if bits.flag() else 1):
        bits.ue()
        bits.ue()
        bits.ue()


def _sequence(body: bytes) -> bool:
    bits = Bits(body)
    bits.u(4)
    layers = bits.u(3) + 1
    bits.flag()
    _profile(bits, layers)
    bits.ue()
    if bits.ue() == 3:
        bits.flag()
    bits.ue()
    bits.ue()
    if bits.flag():  # cropping
        for _ in range(4):
            bits.ue()
    bits.ue()
    bits.ue()
    order = bits.ue() + 4
    _buffering(bits, layers)
    for _ in range(6):
        bits.ue()
    if bits.flag() and bits.flag():
        _scaling_lists(bits)
    bits.u(2)
    if bits.flag():
        bits.u(8)
        bits.ue()
        bits.ue()
        bits.flag()
    if not _short_term(bits):
        return False
    if bits.flag():
        if (count := bits.ue()) > _MOST:
            return False
        bits.u(count * (order + 1))
    bits.u(2)
    if bits.flag():
        _usability(bits, layers)
    return not bits.flag() and bits.ends_here


def _scaling_lists(bits: Bits) -> None:
    for size in range(4):
        for _ in range(2 if size == 3 else 6):
            if not bits.flag():
                bits.ue()
                continue
            if size > 1:
                bits.se()
            for _ in range(min(64, 1 << 4 + 2 * size)):
                bits.se()


def _short_term(bits: Bits) -> bool:
    """All st_ref_pic_set of a sequence (§7.3.7); False if they are none."""
    count = bits.ue()
    if count > 64:
        return False
    pictures = 0
    for number in range(count):
        if number and bits.flag():  # predicted from the one before
            bits.flag()
            bits.ue()
            used = [bits.flag() or bits.flag() for _ in range(pictures + 1)]
            pictures = sum(used)
        else:
            pictures = bits.ue() + bits.ue()
            if pictures > 16:
                return False
            for _ in range(pictures):
                bits.ue()
                bits.flag()
    return True


def _usability(bits: Bits, layers: int) -> None:
    """vui_parameters (§E.2.1)."""
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
    bits.u(3)
    if bits.flag():  # default display window
        for _ in range(4):
            bits.ue()
    if bits.flag():
        bits.u(64)
        if bits.flag():
            bits.ue()
        if bits.flag():
            _reference_decoder(bits, layers, common=True)
    if bits.flag():
        bits.u(3)
        for _ in range(5):
            bits.ue()


def _reference_decoder(bits: Bits, layers: int, *, common: bool) -> None:
    """hrd_parameters (§E.2.2)."""
    of_kind = [False, False]
    by_part = False
    if common:
        of_kind = [bits.flag(), bits.flag()]
        if any(of_kind):
            by_part = bits.flag()
            bits.u(19 if by_part else 0)
            bits.u(8)
            bits.u(4 if by_part else 0)
            bits.u(15)
    for _ in range(layers):
        always = bits.flag()
        fixed = always or bits.flag()
        low_delay = False
        if fixed:
            bits.ue()
        else:
            low_delay = bits.flag()
        schedules = 1 if low_delay else min(bits.ue() + 1, 32)
        for _ in range(schedules * sum(of_kind)):
            for _ in range(4 if by_part else 2):
                bits.ue()
            bits.flag()


def _picture(body: bytes) -> bool:
    bits = Bits(body)
    bits.ue()
    bits.ue()
    bits.u(7)
    bits.ue()
    bits.ue()
    bits.se()
    bits.u(2)
    if bits.flag():
        bits.ue()
    bits.se()
    bits.se()
    bits.u(4)
    tiles = bits.flag()
    bits.flag()
    if tiles:
        columns, rows = bits.ue(), bits.ue()
        if max(columns, rows) > _MOST:
            return False
        if not bits.flag():
            for _ in range(columns + rows):
                bits.ue()
        bits.flag()
    bits.flag()
    if bits.flag():  # deblocking
        bits.flag()
        if not bits.flag():
            bits.se()
            bits.se()
    if bits.flag():
        _scaling_lists(bits)
    bits.flag()
    bits.ue()
    bits.flag()
    return not bits.flag() and bits.ends_here


_KINDS: Final = Kinds(
    kind=lambda header: header[0] >> 1 & 0x3F,
    pictures=frozenset({*range(10), *range(16, 22)}),
    parameters={32: _video, 33: _sequence, 34: _picture},
    markers={35: 1, 36: 0, 37: 0},
    sei=frozenset({39, 40}),
    keeps_recovery_points=False,
)
HEVC: Final = Codec(
    header=2,
    stream_types=frozenset({0x24}),
    unit=_KINDS.unit,
    sample_entries=frozenset({b"hvc1", b"hev1"}),
    configuration=b"hvcC",
)
