"""Where pixels of several frames lie in a view, told when it is made, so that none of its head is read for a frame."""

from collections.abc import Sequence
from dataclasses import replace

from mdm_async.dicom.pixels.placed import Placed, placed
from mdm_async.errors import Malformed, NotDicom
from mdm_async.images.parts.record import PartRecord


def placed_in(head: bytes, parts: Sequence[PartRecord]) -> Placed | None:
    """`parts`: the view's, of which this head is the first. None where there are not several frames, or nobody can tell
    where."""
    pixels = next((part for part in parts if part.seen is not None), None)
    if pixels is None or pixels.seen is None:
        return None
    try:
        found = placed(head, pixels.seen.begin, len(head) + pixels.size)
    except (NotDicom, Malformed):
        return None
    return replace(found, extended=None)
