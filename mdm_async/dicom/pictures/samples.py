"""A frame's numbers, as they lie in its bytes, little endian (PS3.5 §8.1)."""

from dataclasses import replace
from typing import Any, Final

import numpy as np

from mdm_async.dicom.pixels.layout import Layout
from mdm_async.errors import ScrubRefused

Numbers = np.ndarray[Any, np.dtype[Any]]

_FLOATS: Final = {0x7FE00008: "f4", 0x7FE00009: "f8"}
"""Float and Double Float Pixel Data."""


def numbers(frame: bytes, layout: Layout, tag: int) -> tuple[Numbers, Layout]:
    """Rows of columns, of which each is one sample or three; whole numbers have but their stored bits.

    The layout is that of what is given: chrominance is no longer shared. Raises ScrubRefused.
    """
    if layout.samples not in (1, 3):
        raise ScrubRefused("pictures are made of one or three samples a pixel")
    if layout.subsampled and len(frame) >= layout.in_full:
        layout = replace(
            layout, photometric="YBR_FULL"
        )  # it says that chrominance is shared, and shares none
    if layout.bits == 1:
        bits = np.unpackbits(np.frombuffer(frame, np.uint8), bitorder="little")
        return _shaped(bits, layout), layout
    kind = _FLOATS.get(tag) or _WHOLE.get(layout.bits)
    if kind is None or (tag in _FLOATS and layout.bits != 8 * int(kind[1])):
        raise ScrubRefused(f"pictures are not made of samples of {layout.bits} bits")
    found = np.frombuffer(frame, "<" + kind, min(len(frame), layout.frame_size) // int(kind[1]))
    if tag in _FLOATS:
        return _shaped(found, layout), layout
    return _whole(found, layout), replace(
        layout, photometric=_FULL.get(layout.photometric, layout.photometric)
    )


_WHOLE: Final = {8: "u1", 16: "u2", 32: "u4"}
_FULL: Final = {"YBR_FULL_422": "YBR_FULL"}


def _whole(found: Numbers, layout: Layout) -> Numbers:
    if not layout.stored_fit:
        raise ScrubRefused("the stored bits do not lie within those allocated")
    if layout.subsampled:
        return _spread(found, layout)
    shaped = _shaped(found, layout)
    if layout.stored == layout.bits:
        return shaped
    kept: Numbers = (shaped >> layout.shift) & np.array((1 << layout.stored) - 1, shaped.dtype)
    return kept


def _shaped(found: Numbers, layout: Layout) -> Numbers:
    rows, columns, samples = layout.rows, layout.columns, layout.samples
    if found.size < rows * columns * samples:
        raise ScrubRefused("the frame has fewer pixels than described")
    found = found[: rows * columns * samples]
    if samples == 1:
        return found.reshape(rows, columns)
    if layout.planar:
        return found.reshape(samples, rows, columns).transpose(1, 2, 0)
    return found.reshape(rows, columns, samples)


def _spread(found: Numbers, layout: Layout) -> Numbers:
    """Two pixels' Y, and the chrominance that they share, as pixels with one of their own."""
    if layout.photometric not in _FULL or layout.columns % 2 or layout.bits != 8:
        raise ScrubRefused("pictures are not made of pixels that share their chrominance in this way")
    if found.size < layout.rows * layout.columns * 2:
        raise ScrubRefused("the frame has fewer pixels than described")
    pairs = found.reshape(layout.rows, layout.columns // 2, 4)
    spread = np.empty((layout.rows, layout.columns, 3), found.dtype)
    spread[:, 0::2, 0], spread[:, 1::2, 0] = pairs[..., 0], pairs[..., 1]
    for place in (1, 2):
        spread[:, 0::2, place] = spread[:, 1::2, place] = pairs[..., place + 1]
    return spread
