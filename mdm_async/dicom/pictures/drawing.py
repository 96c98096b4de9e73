"""Draw one frame. Only for a process that has nothing: decoders, Numpy, Pillow and pydicom meet foreign bytes here."""

import io
from collections.abc import Sequence
from typing import Any, Final

from PIL import Image
from pydicom import Dataset, dcmread

from mdm_async.dicom.pictures import colours, grey, samples
from mdm_async.dicom.pictures.asked import JPEG, Picture
from mdm_async.dicom.pixels.placed import Placed
from mdm_async.dicom.pixels.single import native

_GROUPS: Final = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_OF_FRAMES: Final = ("PixelValueTransformationSequence", "FrameVOILUTSequence")
"""What functional groups say of shades (PS3.3 §C.7.6.16)."""
_COLOURS: Final = ("Red", "Green", "Blue")
_NEEDED: Final = (
    *("ModalityLUTSequence", "RescaleSlope", "RescaleIntercept", "PixelPaddingValue", "PixelRepresentation"),
    *("VOILUTSequence", "WindowCenter", "WindowWidth", "VOILUTFunction", "BitsStored"),
    *(f"{colour}PaletteColorLookupTable{end}" for colour in _COLOURS for end in ("Data", "Descriptor")),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in _COLOURS),
    *_GROUPS,
)


def drawn(head: bytes, fragments: Sequence[bytes], placed: Placed, number: int, asked: Picture) -> bytes:
    """The picture. `head`: what comes before the pixels; `fragments`: little endian; `number`: the frame's, from 1.

    Raises ScrubRefused.
    """
    assert placed.layout is not None
    frame, layout = native(placed.transfer_syntax, placed.layout, fragments)
    values, layout = samples.numbers(frame, layout, placed.tag)
    said = _said(head, number)
    if layout.samples == 3:
        image = colours.coloured(values, layout)
    elif layout.photometric == "PALETTE COLOR":
        image = colours.from_palette(values, layout, said)
    else:
        image = Image.fromarray(grey.shades(values, layout, said, asked.window), "L")
    return _written(_fitted(image, asked), asked)


def _said(head: bytes, number: int) -> Dataset:
    """What the image says of its shades and colours, of this frame before of all."""
    said: Any = dcmread(io.BytesIO(head), force=True, specific_tags=list(_NEEDED))
    found = Dataset()
    found.update(said)
    for name, place in zip(_GROUPS, (0, number - 1), strict=True):
        groups = said.get(name) or []
        if place >= len(groups):
            continue
        for of in _OF_FRAMES:
            for item in (groups[place].get(of) or [])[:1]:
                found.update(item)
    return found


def _fitted(image: Image.Image, asked: Picture) -> Image.Image:
    viewport = asked.viewport
    box = viewport.box(image.width, image.height)
    assert box is not None
    size = viewport.size(box)
    if size != image.size or box != (0, 0, *image.size):
        image = image.resize(size, Image.Resampling.BILINEAR, box)
    for mirrored, way in zip(
        viewport.mirrored(), (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM), strict=True
    ):
        image = image.transpose(way) if mirrored else image
    return image


def _written(image: Image.Image, asked: Picture) -> bytes:
    """Pixels alone: no comment, no profile, no EXIF."""
    out = io.BytesIO()
    if asked.kind == JPEG:
        image.save(out, "JPEG", quality=asked.quality)
    else:
        image.save(out, "PNG")
    return out.getvalue()
