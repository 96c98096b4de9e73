"""Decode compressed pixels, so that regions of them can be blanked: what comes out is native.

The decoders are those that pydicom finds installed. RLE needs none; JPEG and its kin need a plug-in, and numpy.
"""

import importlib.util
import logging
import struct
import zlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any, Final

from mdm_async.dicom.elements import EXPLICIT_LITTLE, UNDEFINED
from mdm_async.dicom.pixels import mask as pixel_mask
from mdm_async.dicom.pixels import regions as pixel_regions
from mdm_async.dicom.pixels.description import (
    BITS_ALLOCATED,
    BITS_STORED,
    EXTENDED_LENGTHS,
    EXTENDED_OFFSETS,
    HIGH_BIT,
    PHOTOMETRIC,
    PLANAR,
    SAMPLES,
    SIGNED,
    Description,
)
from mdm_async.dicom.pixels.frames import NOT_TOLD_APART
from mdm_async.dicom.pixels.inspector import PIXEL_DATA, Inspector
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.plain_frames import DEFLATED_FRAMES, UNCOMPRESSED
from mdm_async.dicom.pixels.plan import PixelEdits, PixelPlan, describe
from mdm_async.dicom.pixels.reframing import Reframer
from mdm_async.errors import ScrubRefused

_EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
_RLE: Final = "1.2.840.10008.1.2.5"
_LONGEST: Final = 0xFFFFFFFE
"""Bytes of a value (PS3.5 §7.1.1)."""
COLOURS: Final = frozenset(
    {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"}
)


def decode(head: bytes, pixels: bytes, plan: PixelPlan) -> tuple[PixelEdits, Iterator[bytes]]:
    """What becomes of compressed pixels: the changes in the head, and the native Pixel Data element, frame by frame.

    `head` is that of the original, `pixels` its whole Pixel Data element. Raises ScrubRefused, also while the frames
    are taken, when no installed plug-in decodes them or what they become cannot be blanked.
    """
    about, _, transfer_syntax = describe(head)
    described = Layout.of(about)
    if described is None or not described.stored_fit or described.photometric not in COLOURS:
        raise ScrubRefused("the compressed pixels cannot be decoded: their description is not whole")
    offsets = _offsets(about) if plan.extended_table else None
    if transfer_syntax in (UNCOMPRESSED, DEFLATED_FRAMES):
        frames = _plain_frames(transfer_syntax, about, described, pixels)
    else:
        frames = decoded_frames(
            transfer_syntax, described, offsets, _in_frames(transfer_syntax, about, plan, pixels)
        )
    first, properties = next(frames)
    layout = decoded_layout(described, properties)
    size = layout.frame_bits // 8 * layout.frames
    if plan.regions and (why := pixel_regions.obstacle(layout)):
        raise ScrubRefused(f"regions of the decoded pixels cannot be blanked: {why}")
    if plan.clear_unused and (why := pixel_mask.obstacle(layout)):
        raise ScrubRefused(f"bits of the decoded pixels cannot be cleared: {why}")
    if layout.bits % 8:
        raise ScrubRefused("the compressed pixels cannot be decoded: single bits")
    if size > _LONGEST:
        raise ScrubRefused("the decoded pixels are longer than DICOM allows")
    every = (frame for frame, _ in chain([(first, properties)], frames))
    return _edits(layout), _element(layout, plan, every)


def decoded_frames(
    transfer_syntax: str, described: Layout, offsets: tuple[bytes, bytes] | None, pixels: bytes
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Each decoded frame with what the decoder says of it; as many as are described."""
    # Imported here: it takes a while, and few archives ever decode.
    from pydicom.pixels.decoders.base import get_decoder

    # It logs decoders' exceptions, whose texts may quote what they met.
    logging.getLogger("pydicom.pixels.decoders.base").disabled = True
    tag, _, value, length = EXPLICIT_LITTLE.header(pixels, 0, len(pixels))
    if tag != PIXEL_DATA or length != UNDEFINED:
        raise ScrubRefused("the compressed pixels cannot be decoded: they are no fragments")
    options: dict[str, Any] = {
        "rows": described.rows,
        "columns": described.columns,
        "number_of_frames": described.frames,
        "samples_per_pixel": described.samples,
        "bits_allocated": described.bits,
        "bits_stored": described.stored,
        "pixel_representation": int(described.signed),
        "photometric_interpretation": described.photometric,
        "planar_configuration": int(described.planar),
        "pixel_keyword": "PixelData",
    }
    if offsets:
        options["extended_offsets"] = offsets
    try:
        decoder = get_decoder(transfer_syntax)
        available = decoder.is_available
    except NotImplementedError:
        available = False
    arrays = transfer_syntax != _RLE
    if not available or (arrays and not importlib.util.find_spec("numpy")):
        raise ScrubRefused(
            f"no decoder of the transfer syntax {transfer_syntax} is installed, so the pixels cannot be decoded "
            "(the administrator can install one: numpy with pylibjpeg and its plug-ins)"
        )
    try:
        found: Any
        if arrays:
            found = decoder.iter_array(pixels[value:], raw=True, **options)
        else:
            found = decoder.iter_buffer(pixels[value:], **options)
        for _ in range(described.frames):
            frame, properties = next(found)
            yield frame.tobytes() if arrays else bytes(frame), properties
    except (GeneratorExit, KeyboardInterrupt, SystemExit, MemoryError):
        raise
    except BaseException:
        # Whatever a decoder stumbles over is a reason, and its text may quote data. Those written in Rust panic with
        # what is no Exception.
        raise ScrubRefused("the compressed pixels cannot be decoded") from None


def _in_frames(transfer_syntax: str, about: Description, plan: PixelPlan, pixels: bytes) -> bytes:
    """The element with every frame in one fragment, where decoders could not tell them apart."""
    if not plan.reframe:
        return pixels
    inspector = _inspected(transfer_syntax, about, pixels)
    return Reframer(inspector.frames, EXPLICIT_LITTLE).feed(pixels)


def _plain_frames(
    transfer_syntax: str, about: Description, described: Layout, pixels: bytes
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """As `decoded_frames`, of frames that are not compressed, or only deflated."""
    inspector = _inspected(transfer_syntax, about, pixels)
    if inspector.frames.count != described.frames:
        raise ScrubRefused("the encapsulated frames are not as many as described")
    element = Reframer(inspector.frames, EXPLICIT_LITTLE).feed(pixels)
    properties = {
        "bits_allocated": described.bits,
        "photometric_interpretation": described.photometric,
        "pixel_representation": int(described.signed),
        "planar_configuration": int(described.planar),
    }
    at = EXPLICIT_LITTLE.header(element, 0, len(element))[2]
    for number in range(-1, described.frames):
        _, value, length = EXPLICIT_LITTLE.items.header(element, at, len(element))
        at = value + length
        if number < 0:
            continue  # the offset table
        frame = element[value:at]
        if transfer_syntax == DEFLATED_FRAMES:
            frame = zlib.decompressobj(-zlib.MAX_WBITS).decompress(frame, described.frame_size)
        yield frame[: described.frame_size], properties


def _inspected(transfer_syntax: str, about: Description, pixels: bytes) -> Inspector:
    inspector = Inspector(transfer_syntax, about)
    inspector.feed(pixels)
    inspector.findings()
    if not inspector.frames.told_apart(inspector.frames.count):
        raise ScrubRefused(f"the compressed pixels cannot be decoded: {NOT_TOLD_APART}")
    return inspector


def _offsets(about: Description) -> tuple[bytes, bytes] | None:
    """The Extended Offset Table and its lengths, where frames begin if fragments do not tell."""
    offsets, lengths = about.values.get(EXTENDED_OFFSETS, b""), about.values.get(EXTENDED_LENGTHS, b"")
    return (offsets, lengths) if offsets and lengths else None


def decoded_layout(described: Layout, properties: dict[str, Any]) -> Layout:
    """How the decoded frames are laid out."""
    bits = int(properties["bits_allocated"])
    stored = min(described.stored, bits)
    photometric = str(properties["photometric_interpretation"])
    return replace(
        described,
        bits=bits,
        stored=stored,
        high=described.high if described.high < bits else stored - 1,
        signed=properties["pixel_representation"] == 1,
        planar=properties.get("planar_configuration", 0) == 1,
        # Decoders give every pixel its own chrominance.
        photometric="YBR_FULL" if photometric == "YBR_FULL_422" else photometric,
    )


def _edits(layout: Layout) -> PixelEdits:
    numbers = {
        SAMPLES: layout.samples,
        BITS_ALLOCATED: layout.bits,
        BITS_STORED: layout.stored,
        HIGH_BIT: layout.high,
        SIGNED: int(layout.signed),
    }
    if layout.samples > 1:
        numbers[PLANAR] = int(layout.planar)
    values = {tag: number.to_bytes(2, "little") for tag, number in numbers.items()}
    name = layout.photometric.encode()
    values[PHOTOMETRIC] = name + b" " * (len(name) % 2)
    return PixelEdits(_EXPLICIT_LITTLE, tuple(sorted(values.items())))


def _element(layout: Layout, plan: PixelPlan, frames: Iterator[bytes]) -> Iterator[bytes]:
    """The native element (PS3.5 §A.2): OB up to 8 bits, OW for more; of even length."""
    size = layout.frame_bits // 8
    total = size * layout.frames
    blanker = pixel_regions.Blanker(layout, plan.regions) if plan.regions else None
    # Always: what is decoded anyway need not be looked at first.
    masker = None if pixel_mask.obstacle(layout) else pixel_mask.Masker(layout)
    vr = b"OB" if layout.bits <= 8 else b"OW"
    group, number = PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF
    yield struct.pack("<HH2sHL", group, number, vr, 0, total + total % 2)
    for frame in frames:
        if len(frame) != size:
            raise ScrubRefused(
                "the compressed pixels cannot be decoded: a frame is not of the size described"
            )
        data = bytearray(masker.mask(frame) if masker else frame)
        if blanker:
            blanker.blank(data, 0)
        yield bytes(data)
    if total % 2:
        yield b"\0"
