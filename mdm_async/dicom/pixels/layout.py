"""How native pixels lie in their value field (PS3.3 §C.7.6.3, PS3.5 §8.1.1)."""

import re
from dataclasses import dataclass
from typing import Final, Literal, Self

from mdm_async.dicom.pixels.description import (
    BITS_ALLOCATED,
    BITS_STORED,
    COLUMNS,
    FRAMES,
    HIGH_BIT,
    LAYOUT,
    PHOTOMETRIC,
    PLANAR,
    ROWS,
    SAMPLES,
    SIGNED,
    Description,
)

_SUBSAMPLED: Final = {"YBR_FULL_422": 4, "YBR_PARTIAL_422": 4, "YBR_PARTIAL_420": 3}
"""Samples of two pixels together."""
_DECIMAL: Final = re.compile(r"\+?([0-9]{1,12})\.0*")


def whole_number(text: str) -> str:
    """An integer string as it should be: some writers have a decimal point and zeros after it."""
    found = _DECIMAL.fullmatch(text)
    return found[1] if found else text


@dataclass(frozen=True, slots=True)
class Layout:
    """Rows, columns and samples of every frame. Frames follow each other without padding."""

    rows: int
    columns: int
    frames: int
    samples: int
    bits: int
    """Allocated for one sample."""
    stored: int
    high: int
    """The highest of the stored bits, counted from 0."""
    signed: bool
    planar: bool
    """One plane for each sample, rather than the samples of each pixel together (Planar Configuration)."""
    photometric: str
    big_endian: bool = False

    @classmethod
    def of(cls, about: Description) -> Self | None:
        """None when the description is not whole, or says two things."""
        rows, columns, bits = about.number(ROWS), about.number(COLUMNS), about.number(BITS_ALLOCATED)
        samples = about.number(SAMPLES, 1)
        frames = whole_number(about.text(FRAMES)).lstrip("+0") or "1"
        if rows is None or columns is None or not bits or samples is None:
            return None
        if not frames.isdecimal() or len(frames) > 12 or any(map(about.ambiguous, LAYOUT)):
            return None
        stored = about.number(BITS_STORED, bits) or bits
        return cls(
            rows=rows,
            columns=columns,
            frames=int(frames),
            samples=samples,
            bits=bits,
            stored=stored,
            high=about.number(HIGH_BIT, stored - 1) or 0,
            signed=about.number(SIGNED, 0) == 1,
            planar=about.number(PLANAR, 0) == 1,
            photometric=about.text(PHOTOMETRIC),
            big_endian=about.big_endian,
        )

    @property
    def frame_bits(self) -> int:
        """Bits of one frame; no whole number of bytes when one bit is allocated."""
        of_two_pixels = _SUBSAMPLED[self.photometric] if self.subsampled else 2 * self.samples
        return self.rows * self.columns * of_two_pixels * self.bits // 2

    @property
    def frame_size(self) -> int:
        """Bytes of one frame by itself."""
        return (self.frame_bits + 7) // 8

    @property
    def spare_bits(self) -> int:
        """Those of its last byte that are no pixels: the highest."""
        return -self.frame_bits % 8

    @property
    def total(self) -> int:
        """Bytes of all frames, without padding."""
        return (self.frame_bits * self.frames + 7) // 8

    @property
    def subsampled(self) -> bool:
        """Whether pixels share their chrominance: a frame has fewer samples than its pixels would have alone."""
        return self.samples == 3 and self.photometric in _SUBSAMPLED

    @property
    def in_full(self) -> int:
        """Bytes of all frames if they were not subsampled."""
        return (self.rows * self.columns * self.samples * self.bits * self.frames + 7) // 8

    @property
    def byte_order(self) -> Literal["big", "little"]:
        return "big" if self.big_endian else "little"

    @property
    def shift(self) -> int:
        """Unused bits below the stored ones."""
        return self.high + 1 - self.stored

    @property
    def stored_fit(self) -> bool:
        """Whether the stored bits lie within those allocated."""
        return 0 < self.stored <= self.high + 1 <= self.bits
