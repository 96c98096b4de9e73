"""Views in the other VR encoding, little endian: another head and tail around the same pixels."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from mdm_async.blobs.store import BlobStore
from mdm_async.dicom.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE, UNDEFINED
from mdm_async.dicom.part10 import Kind
from mdm_async.dicom.vr_encodings import in_explicit, in_implicit, pixel_header
from mdm_async.errors import NotAcceptable, NotDicom
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.reading import heads, stream
from mdm_async.images.reading.representation import Representation, Source, Span
from mdm_async.images.reading.view import ReadyView

MOST_REWRITTEN: Final = 4 << 20
"""Bytes before and after the pixels."""
_HEADER: Final = 12


@dataclass(frozen=True, slots=True, repr=False)
class Rewritten:
    """New bytes, those of the pixels in their source, new bytes."""

    before: bytes
    source: Source
    pixels: Span
    after: bytes


async def rewritten(
    blobs: BlobStore, cipher: CipherPool, served: Representation, *, explicit: bool = True
) -> Rewritten:
    """As Explicit VR Little Endian of a view in implicit VR, or the other way round. Raises NotAcceptable where that
    cannot be."""
    here, to = (IMPLICIT_LITTLE, EXPLICIT_LITTLE) if explicit else (EXPLICIT_LITTLE, IMPLICIT_LITTLE)
    view = served.plain
    assert view is not None
    head, tail = await heads.head_and_tail(blobs, cipher, view, MOST_REWRITTEN)
    if head is None:
        raise _refused()
    try:
        before, after = await cipher.run(partial(in_explicit if explicit else in_implicit, head, tail))
    except NotDicom as why:
        raise _refused() from why
    if not has_pixels(view):
        return Rewritten(before, served, (0, 0), after)
    start = len(head)
    pieces = stream.clear(blobs, view, start, min(start + _HEADER, view.size))
    begin = b"".join([bytes(piece) async for piece in pieces])
    tag, _, value, length = here.header(begin, 0, len(begin))
    if length == UNDEFINED:
        raise _refused()
    span = start + value, start + value + length
    return Rewritten(before + pixel_header(tag, length, to), served, span, after)


def has_pixels(view: ReadyView) -> bool:
    return len(view.parts) > 1 and view.parts[1].row.kind == Kind.PIXELS.value


def _refused() -> NotAcceptable:
    return NotAcceptable(
        "an image cannot be rewritten in the other VR encoding",
        remedy="ask for it as it is stored: transfer-syntax=*",
    )
