"""Where an ultrasound image shows tissue and traces: its Sequence of Ultrasound Regions (PS3.3 §C.8.5.5)."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from mdm_async.dicom.elements import Buffer, Encoding
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.profile import Region
from mdm_async.dicom.walking import Element, items, walk
from mdm_async.errors import Malformed

REGIONS: Final = 0x00186011
_SPATIAL_FORMAT: Final = 0x00186012
_X0, _Y0, _X1, _Y1 = 0x00186018, 0x0018601A, 0x0018601C, 0x0018601E
_SHOWN: Final = frozenset({1, 2, 3, 4})
"""Spatial formats of what was examined: tissue, M-mode, spectra, waveforms; the others are graphics and none."""
_MOST: Final = 32
"""Regions of one image."""
_LONGEST: Final = 1 << 18
"""Bytes of a sequence that is read."""

Regions = tuple[Region, ...] | None
"""What one sequence says; None when it cannot be understood."""


def read(data: Buffer, sequence: Element, encoding: Encoding) -> Regions:
    """The regions in which something was examined."""
    if sequence.length > _LONGEST:
        return None
    found: list[Region] = []
    try:
        for number, item in enumerate(items(data, sequence, encoding)):
            numbers = _numbers(data, item.start, item.end, item.encoding)
            if number >= _MOST or numbers is None:
                return None
            if numbers[_SPATIAL_FORMAT] in _SHOWN:
                x, y = numbers[_X0], numbers[_Y0]
                found.append(Region(x, y, numbers[_X1] - x + 1, numbers[_Y1] - y + 1))
    except Malformed:
        return None
    return tuple(found)


def outside(said: list[Regions], layout: Layout) -> tuple[tuple[Region, ...], str | None]:
    """(everything outside of the regions, or why that cannot be told).

    `said` has one entry for each Sequence of Ultrasound Regions that is there.
    """
    if not said:
        return (), "there is no Sequence of Ultrasound Regions"
    if len(said) > 1:
        return (), "there are two Sequences of Ultrasound Regions"
    regions = said[0]
    if regions is None:
        return (), "the Sequence of Ultrasound Regions cannot be understood"
    if not regions:
        return (), "the Sequence of Ultrasound Regions names none"
    for one in regions:
        # Some devices write the first pixel that is outside as the last.
        right, bottom = one.x + one.width - 1, one.y + one.height - 1
        if one.width < 1 or one.height < 1 or right > layout.columns or bottom > layout.rows:
            return (), "an ultrasound region does not lie on the picture"
    left = tuple(_complement(regions, layout))
    return left, None if left else "the ultrasound regions cover the whole picture"


def _numbers(data: Buffer, at: int, end: int, encoding: Encoding) -> dict[int, int] | None:
    """The format and the corners; None unless each is there once."""
    found: dict[int, int] = {}
    for element in walk(data, at, end, encoding):
        if element.tag in (_SPATIAL_FORMAT, _X0, _Y0, _X1, _Y1):
            size = 2 if element.tag == _SPATIAL_FORMAT else 4
            if element.tag in found or element.length != size:
                return None
            value = bytes(data[element.value : element.end])
            found[element.tag] = int.from_bytes(value, "big" if encoding.big_endian else "little")
    return found if len(found) == 5 else None


def _complement(regions: tuple[Region, ...], layout: Layout) -> Iterator[Region]:
    """What of the picture lies in no region, as rectangles: in bands of rows between the regions' edges."""
    edges = {0, layout.rows}
    for one in regions:
        edges |= {min(one.y, layout.rows), min(one.y + one.height, layout.rows)}
    rows = sorted(edges)
    for top, bottom in pairwise(rows):
        crossing = sorted((r.x, r.x + r.width) for r in regions if r.y <= top < r.y + r.height)
        x = 0
        for left, right in crossing:
            if left > x:
                yield Region(x, top, left - x, bottom - top)
            x = max(x, right)
        if x < layout.columns:
            yield Region(x, top, layout.columns - x, bottom - top)
