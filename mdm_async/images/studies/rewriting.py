"""Views in the other VR encoding, or in little endian: another head and tail around the same pixels."""

from dataclasses import dataclass
from functools import partial
from typing import Final

from mdm_async.blobs.store import BlobStore
from mdm_async.dicom.elements import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from mdm_async.dicom.part10 import Kind
from mdm_async.dicom.pixels.placed import PIXELS_HEADER, placed
from mdm_async.dicom.quirks import BIG_SYNTAX, EXPLICIT_SYNTAX, IMPLICIT_SYNTAX
from mdm_async.dicom.vr_encodings import in_explicit, in_implicit, pixel_header
from mdm_async.errors import NotAcceptable, NotDicom
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.reading import heads, stream
from mdm_async.images.reading.representation import Representation, Source, Span
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.studies.little_endian import in_little

MOST_REWRITTEN: Final = 4 << 20
"""Bytes before and after the pixels."""
REWRITTEN: Final = frozenset({IMPLICIT_SYNTAX, EXPLICIT_SYNTAX, BIG_SYNTAX})
"""Transfer syntaxes of views that leave in other ones so."""


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
    """A view with native pixels in Explicit (or Implicit) VR Little Endian. Raises NotAcceptable where that cannot
    be."""
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
    end = view.size - len(tail)
    pieces = stream.clear(blobs, view, len(head), min(len(head) + PIXELS_HEADER, end))
    begin = b"".join([bytes(piece) async for piece in pieces])
    pixels = await cipher.run(partial(placed, head, begin, end))
    if pixels.length is None:
        raise _refused()
    span = pixels.start, pixels.start + pixels.length
    header = pixel_header(pixels.tag, pixels.length, EXPLICIT_LITTLE if explicit else IMPLICIT_LITTLE)
    return Rewritten(before + header, in_little(served, span, pixels.word), span, after)


def has_pixels(view: ReadyView) -> bool:
    return len(view.parts) > 1 and view.parts[1].row.kind == Kind.PIXELS.value


def _refused() -> NotAcceptable:
    return NotAcceptable(
        "an image cannot be rewritten in the other VR encoding",
        remedy="ask for it as it is stored: transfer-syntax=*",
    )
