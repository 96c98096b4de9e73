"""Blank rectangles of native pixels, in every frame, while they stream by."""

from dataclasses import dataclass
from typing import Final

from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.profile import Region

_SAMPLES: Final = {
    "MONOCHROME1": 1,
    "MONOCHROME2": 1,
    "PALETTE COLOR": 1,
    "RGB": 3,
    "YBR_FULL": 3,
    "YBR_FULL_422": 3,
}


def obstacle(layout: Layout) -> str | None:
    """Why regions of such pixels cannot be blanked exactly; None when they can."""
    if layout.photometric not in _SAMPLES:
        return "their photometric interpretation has no known black"
    if layout.samples != _SAMPLES[layout.photometric] or not layout.stored_fit:
        return "the description contradicts itself"
    if layout.bits not in (1, 8, 16, 32, 64) or (layout.bits == 1 and layout.samples > 1):
        return "their bits are packed in an unusual way"
    if layout.big_endian and layout.bits < 16:
        return "big endian words of smaller pixels can be read in two ways"
    if layout.subsampled and (layout.columns % 2 or layout.planar):
        return "pairs of pixels do not fit their rows"
    return None


def clipped(regions: tuple[Region, ...], layout: Layout) -> tuple[Region, ...]:
    """What of the regions lies on the picture, in ascending order, each once."""
    inside = set()
    for one in regions:
        width = min(one.x + one.width, layout.columns) - one.x
        height = min(one.y + one.height, layout.rows) - one.y
        if width > 0 and height > 0:
            inside.add(Region(one.x, one.y, width, height))
    return tuple(sorted(inside, key=lambda one: (one.y, one.x, one.height, one.width)))


class Blanker:
    """Overwrites regions with black; memory is that of the largest chunk."""

    def __init__(self, layout: Layout, regions: tuple[Region, ...]) -> None:
        """The layout has no `obstacle`, and the regions are `clipped` to it."""
        self._layout = layout
        self._regions = regions
        self._bands = [] if layout.bits == 1 else [band for one in regions for band in _bands(layout, one)]

    def blank(self, data: bytearray, at: int) -> None:
        """Blank what of the regions lies in these bytes, which are `at` bytes after the first frame's first."""
        if self._layout.bits == 1:
            self._blank_bits(data, at)
            return
        frame = self._layout.frame_bits // 8
        with memoryview(data)[: max(0, self._layout.total - at)] as view:
            for start in range(-(at % frame), len(view), frame):
                for band in self._bands:
                    band.overwrite(view, start)

    def _blank_bits(self, data: bytearray, at: int) -> None:
        """As `blank`, where frames need not begin with a byte: the first pixel is the lowest bit (PS3.5 §8.1.1)."""
        frame, columns = self._layout.frame_bits, self._layout.columns
        ones = self._layout.photometric == "MONOCHROME1"
        end = min(len(data) * 8, frame * self._layout.frames - at * 8)
        for start in range(-(at * 8 % frame), end, frame):
            for one in self._regions:
                first = start + one.y * columns + one.x
                for row in range(first, first + one.height * columns, columns):
                    if row + one.width > 0 and row < end:
                        _fill_bits(data, max(row, 0), min(row + one.width, end), ones=ones)


@dataclass(slots=True)
class _Band:
    """Ranges of bytes in a frame, one below the other: those of one plane of one region."""

    start: int
    stride: int
    length: int
    count: int
    pixel: bytes
    """Black; each range begins with its first byte and repeats it."""
    black: bytes = b""
    """It again and again, as much as was needed so far."""

    def overwrite(self, view: memoryview, frame: int) -> None:
        """Write to all ranges in `view`, in which the frame begins at index `frame` (it may be negative)."""
        first = frame + self.start
        row = max(0, -(first + self.length) // self.stride + 1)
        for at in range(first + row * self.stride, first + self.count * self.stride, self.stride):
            if at >= len(view):
                return
            begin, end = max(at, 0), min(at + self.length, len(view))
            phase = (begin - at) % len(self.pixel)
            view[begin:end] = self._black(phase + end - begin)[phase:]

    def _black(self, length: int) -> memoryview:
        if len(self.black) < length:
            self.black = self.pixel * (length // len(self.pixel) + 1)
        return memoryview(self.black)[:length]


def _bands(layout: Layout, region: Region) -> list[_Band]:
    sample, black = layout.bits // 8, _black(layout)
    x, width, columns, planes = region.x, region.width, layout.columns, [b"".join(black)]
    if layout.subsampled:
        # Two pixels are one unit, Y Y Cb Cr: a region grows to whole ones.
        x, width, columns = x // 2, (x + width + 1) // 2 - x // 2, columns // 2
        planes = [b"".join((black[0], *black))]
    elif layout.planar:
        planes = black
    bands = []
    for number, pixel in enumerate(planes):
        row = columns * len(pixel)
        start = number * layout.rows * columns * sample + region.y * row + x * len(pixel)
        if width == columns:
            bands.append(_Band(start, row * region.height, row * region.height, 1, pixel))
        else:
            bands.append(_Band(start, row, width * len(pixel), region.height, pixel))
    return bands


def _black(layout: Layout) -> list[bytes]:
    """One pixel's samples (PS3.3 §C.7.6.3.1.2): zeros, but the highest value where that is black, and no colour."""
    numbers = [0] * layout.samples
    if layout.photometric == "MONOCHROME1":
        numbers = [(1 << (layout.stored - layout.signed)) - 1]
    elif layout.photometric.startswith("YBR"):
        numbers = [0, 1 << (layout.stored - 1), 1 << (layout.stored - 1)]
    return [(number << layout.shift).to_bytes(layout.bits // 8, layout.byte_order) for number in numbers]


def _fill_bits(data: bytearray, first: int, stop: int, *, ones: bool) -> None:
    """Set or clear the bits from `first` up to `stop`, counted from the lowest of the first byte."""
    begin, end = first // 8, (stop + 7) // 8
    chosen = (1 << stop - begin * 8) - (1 << first - begin * 8)
    bits = int.from_bytes(data[begin:end], "little")
    bits = bits | chosen if ones else bits & ~chosen
    data[begin:end] = bits.to_bytes(end - begin, "little")
