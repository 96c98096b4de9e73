"""Shades of grey from stored values (PS3.3 §C.11.1, §C.11.2): by modality transformation, and window or VOI LUT."""

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from pydicom import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi

from mdm_async.dicom.pictures.asked import Shape, Window
from mdm_async.dicom.pictures.samples import Numbers
from mdm_async.dicom.pixels.layout import Layout

_BLOCK: Final = 1 << 20
_IN_A_TABLE: Final = 16
"""Bits of values for each of which the shade is worked out once."""


def shades(values: Numbers, layout: Layout, said: Dataset, window: Window | None) -> Numbers:
    """Of eight bits, the smallest value's black but for MONOCHROME1. `said`: what holds of this frame.

    Without a window, the image's own: its VOI LUT, its first window, or else from its least to its greatest value.
    """
    if values.dtype.kind == "f" or layout.stored > _IN_A_TABLE:
        real = _signed(values, layout).astype(np.float64)
        shown = np.isfinite(real) & ~np.isin(real, _padding(said))
        found = _windowed(_real(real, said), shown, said, window)
    else:
        # Of each value that there can be, and then looked up.
        every = _signed(np.arange(1 << layout.stored, dtype=values.dtype), layout)
        there = np.zeros(len(every), bool)
        for block in _blocks(values):
            there[block] = True
        there &= ~np.isin(every, _padding(said))
        table = _windowed(_real(every.astype(np.float64), said), there, said, window)
        found = np.empty(values.shape, np.uint8)
        for block, into in zip(_blocks(values), _blocks(found), strict=True):
            into[...] = table[block]
    return 255 - found if layout.photometric == "MONOCHROME1" else found


def _blocks(values: Numbers) -> Iterator[Numbers]:
    """Some rows after the other: what looks numbers up makes wide ones of them."""
    step = max(1, _BLOCK // values.shape[1])
    return (values[row : row + step] for row in range(0, len(values), step))


def _signed(values: Numbers, layout: Layout) -> Numbers:
    if not layout.signed or values.dtype.kind == "f":
        return values
    wide = values.astype(np.int64)
    return np.where(wide >> (layout.stored - 1) & 1, wide - (1 << layout.stored), wide)


def _padding(said: Dataset) -> list[Any]:
    """Values that stand for no pixel (PS3.3 §C.7.5.1.1.2), as far as one number tells."""
    value = said.get("PixelPaddingValue")
    return [] if value is None else [value]


def _real(values: Numbers, said: Dataset) -> Numbers:
    """What the modality transformation makes of stored values."""
    if said.get("ModalityLUTSequence"):
        return apply_modality_lut(values.astype(np.int64), said).astype(np.float64)
    slope, intercept = said.get("RescaleSlope"), said.get("RescaleIntercept")
    if slope is None or intercept is None:
        return values
    return values * float(slope) + float(intercept)


def _windowed(real: Numbers, there: Numbers, said: Dataset, window: Window | None) -> Numbers:
    """`there`: which of them are of the picture's."""
    if window is None and said.get("VOILUTSequence"):
        bits = int(said.VOILUTSequence[0].LUTDescriptor[2])
        return _eight_bits(apply_voi(np.rint(np.nan_to_num(real)).astype(np.int64), said) / ((1 << bits) - 1))
    window = window or _own(said)
    if window is None:
        some = real[there]
        low, high = (float(some.min()), float(some.max())) if some.size else (0.0, 0.0)
        return _eight_bits((real - low) / (high - low or 1.0))
    return _eight_bits(_through(real, window))


def _own(said: Dataset) -> Window | None:
    """The first that the image has."""
    center, width = (_first(said.get(name)) for name in ("WindowCenter", "WindowWidth"))
    if center is None or width is None:
        return None
    told = str(said.get("VOILUTFunction") or "LINEAR").strip()
    shape = Shape(told) if told in Shape.__members__ else Shape.LINEAR
    for each in (shape, Shape.LINEAR_EXACT):  # some windows of real numbers are narrower than one
        if (found := Window(center, width, each)).is_one:
            return found
    return None


def _first(value: Any) -> float | None:
    if value is None or value == "":
        return None
    return float(value) if isinstance(value, (int, float)) else float(value[0])


def _through(real: Numbers, window: Window) -> Numbers:
    """0 for black, 1 for white (PS3.3 §C.11.2.1)."""
    center, width = window.center, window.width
    if window.shape is Shape.LINEAR:
        center, width = center - 0.5, width - 1
    if not width:
        return np.asarray(real > center, np.float64)
    part: Numbers = (real - center) / width
    if window.shape is Shape.SIGMOID:
        with np.errstate(over="ignore"):
            part = 1 / (1 + np.exp(-4 * part)) - 0.5
    part += 0.5
    return part


def _eight_bits(part: Numbers) -> Numbers:
    return np.asarray(np.rint(np.nan_to_num(np.clip(part, 0, 1)) * 255), np.uint8)
