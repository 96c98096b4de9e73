"""One frame by itself: what its fragments hold, native."""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import replace

from mdm_async.dicom.elements import EXPLICIT_LITTLE, UNDEFINED
from mdm_async.dicom.items import ITEM, SEQUENCE_END
from mdm_async.dicom.pixels.decoding import COLOURS, decoded_frames, decoded_layout
from mdm_async.dicom.pixels.inspector import NATIVE, PIXEL_DATA
from mdm_async.dicom.pixels.layout import Layout
from mdm_async.dicom.pixels.plain_frames import DEFLATED_FRAMES, UNCOMPRESSED
from mdm_async.errors import ScrubRefused


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
