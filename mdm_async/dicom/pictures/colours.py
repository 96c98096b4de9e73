"""Red, green and blue of eight bits, from three samples or a palette (PS3.3 §C.7.6.3.1.2, §C.7.9)."""

from typing import Final

import numpy as np
from PIL import Image
from pydicom import Dataset
from pydicom.pixels.processing import apply_color_lut

from mdm_async.dicom.pictures.samples import Numbers
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.errors import ScrubRefused

_RGB: Final = frozenset({"RGB", "YBR_RCT", "YBR_ICT"})
"""The latter are what a codestream transforms; decoded, they are RGB."""
_MOST: Final = 1 << 16
"""Entries of a palette."""


def coloured(values: Numbers, layout: Layout) -> Image.Image:
    """Raises ScrubRefused."""
    if layout.stored > 8:
        values = values >> (layout.stored - 8)
    elif layout.stored < 8:
        values = values << (8 - layout.stored)
    pixels = np.ascontiguousarray(values.astype(np.uint8))
    if layout.photometric in _RGB:
        return Image.fromarray(pixels, "RGB")
    if layout.photometric == "YBR_FULL":
        return Image.fromarray(pixels, "YCbCr").convert("RGB")
    raise ScrubRefused("pictures are not made of these colours")


def from_palette(values: Numbers, layout: Layout, said: Dataset) -> Image.Image:
    """Raises ScrubRefused."""
    if layout.stored > 16:
        raise ScrubRefused("a palette has no more than 65536 colours")
    every = np.arange(1 << layout.stored, dtype=np.uint16)
    table = apply_color_lut(every, said)
    if table.dtype.itemsize > 1:
        table = table >> 8
    return Image.fromarray(np.ascontiguousarray(table.astype(np.uint8)[values][..., :3]), "RGB")
