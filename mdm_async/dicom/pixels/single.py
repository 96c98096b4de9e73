"""One frame by itself: what its fragments hold, native."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from mdm_async.dicom.elements import EXPLICIT_LITTLE, UNDEFINED
from mdm_async.dicom.items import ITEM, SEQUENCE_END
from mdm_async.dicom.pixels import mask as pixel_mask
from mdm_async.dicom.pixels.decoding import COLOURS, decoded_frames, decoded_layout
from mdm_async.dicom.pixels.inspector import NATIVE, PIXEL_DATA
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.plain_frames import DEFLATED_FRAMES, UNCOMPRESSED
from mdm_async.errors import ScrubRefused

_RGB: Final = {"YBR_RCT": "RGB", "YBR_ICT": "RGB"}


def native(transfer_syntax: str, described: Layout, fragments: Sequence[bytes]) -> tuple[bytes, Layout]:
    """The frame's bytes, and how they lie. Raises ScrubRefused when nothing installed decodes them.

    Runs code that is not ours: only for a process that has nothing.
    """
    layout = replace(described, frames=1)
    whole = b"".join(fragments)
    if transfer_syntax in NATIVE or transfer_syntax == UNCOMPRESSED:
        return whole[: max(layout.frame_size, layout.in_full)], layout
    if transfer_syntax == DEFLATED_FRAMES:
        try:
            return zlib.decompressobj(-zlib.MAX_WBITS).decompress(whole, layout.frame_size), layout
        except zlib.error:
            raise ScrubRefused("a deflated frame does not inflate") from None
    if not layout.stored_fit or layout.photometric not in COLOURS:
        raise ScrubRefused("the compressed pixels cannot be decoded: their description is not whole")
    frame, properties = next(decoded_frames(transfer_syntax, layout, None, _element(whole)))
    found = decoded_layout(layout, properties)
    if len(frame) != found.frame_size:
        raise ScrubRefused("the compressed pixels cannot be decoded: a frame is not of the size described")
    return frame, found


def as_described(frame: bytes, layout: Layout, described: Layout) -> bytes:
    """A decoded frame, laid out as its head says that native pixels are: the head stays true of them. Only of colours
    that a codestream transforms by itself (YBR_RCT, YBR_ICT) it gives what is decoded: red, green and blue.

    Raises ScrubRefused where it cannot be.
    """
    wanted = photometric_of_native(described)
    shares = described.subsampled and layout.photometric == "YBR_FULL"
    if layout.bits != described.bits or not (shares or layout.photometric == wanted):
        raise ScrubRefused("decoded, the frames would not be what the head says of them")
    if pixel_mask.obstacle(layout) is None:
        frame = pixel_mask.Masker(layout).mask(frame)
    if shares:
        return _sharing(frame, layout, described)
    if layout.samples == 1 or layout.planar == described.planar:
        return frame[: described.frame_size]
    size, count = layout.bits // 8, layout.samples
    of_plane = layout.rows * layout.columns * size
    turned = bytearray(len(frame))
    for sample in range(count):
        for byte in range(size):
            plane = slice(sample * of_plane + byte, (sample + 1) * of_plane, size)
            mixed = slice(sample * size + byte, None, count * size)
            into, out_of = (plane, mixed) if described.planar else (mixed, plane)
            turned[into] = frame[out_of]
    return bytes(turned)


def whole(transfer_syntax: str, described: Layout) -> Layout:
    """What describes native frames in which nothing is left out of what is decoded: each pixel has the chrominance that
    its codestream gives it, which need not be shared where the head says so."""
    stored_alike = transfer_syntax in NATIVE or transfer_syntax in (UNCOMPRESSED, DEFLATED_FRAMES)
    if stored_alike or described.photometric != "YBR_FULL_422":
        return described
    return replace(described, photometric="YBR_FULL")


def photometric_of_native(described: Layout) -> str:
    """Photometric Interpretation of what `as_described` gives."""
    return _RGB.get(described.photometric, described.photometric)


def _sharing(frame: bytes, layout: Layout, described: Layout) -> bytes:
    """Two pixels' Y and the chrominance of the first (PS3.3 §C.7.6.3.1.2, YBR_FULL_422)."""
    if described.photometric != "YBR_FULL_422" or layout.planar or layout.bits != 8 or layout.columns % 2:
        raise ScrubRefused("decoded, the frames would not be what the head says of them")
    shared = bytearray(described.frame_size)
    shared[0::4], shared[1::4] = frame[0::6], frame[3::6]
    shared[2::4], shared[3::4] = frame[1::6], frame[2::6]
    return bytes(shared)


def _element(frame: bytes) -> bytes:
    """Encapsulated Pixel Data of this frame alone (PS3.5 §A.4)."""
    items = EXPLICIT_LITTLE.items
    start = struct.pack("<HH2sHL", PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF, b"OB", 0, UNDEFINED)
    even = frame + bytes(len(frame) % 2)
    return (
        start
        + items.encoded(ITEM, 0)
        + items.encoded(ITEM, len(even))
        + even
        + items.encoded(SEQUENCE_END, 0)
    )
