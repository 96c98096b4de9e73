"""What a view's bytes say beside its pixels, as the DICOM JSON Model; and values that are too long to stand in it.

Small heads are gone through in a thread, large ones in a process that has nothing, as those that are scrubbed.
"""

from functools import partial
from typing import Final

from mdm_async.blobs.store import BlobStore
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.json_model import MOST_TOLD, Path
from mdm_async.dicom.part10 import Kind
from mdm_async.errors import Damaged, NotDicom, NotFound, ScrubRefused, TooLarge
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.reading import heads, stream
from mdm_async.images.reading.representation import Span
from mdm_async.images.reading.view import ReadyView
from mdm_async.images.studies.describe_jobs import Seek, Tell
from mdm_async.images.views.scrubbing import Scrubber

MOST_DESCRIBED: Final = 16 << 20
"""Bytes before and after the pixels. Of more, a model of it would be too large."""
_PIXELS_BEGIN: Final = 8
COPIES: Final = 3
"""Of these bytes, read and on their way to a process."""
_TOLD: Final = 10
"""Bytes of JSON that one of them becomes at the most: names of one letter do."""


def weight(view: ReadyView) -> int:
    """Bytes of this server's memory that describing it takes at the most."""
    size = beside(view)
    return COPIES * size + min(_TOLD * size, MOST_TOLD)


def beside(view: ReadyView) -> int:
    """Bytes before and after its pixels, or up to how many are looked at."""
    if (
        view.parts[0].row.kind == Kind.ORIGINAL.value
    ):  # deflated: how many it has shows only when it is inflated
        return MOST_DESCRIBED
    sizes = [part.record.size for part in view.parts]
    return min(sizes[0] + sum(sizes[2:]), MOST_DESCRIBED)


def demand_describable(view: ReadyView) -> None:
    """Raises TooLarge, but for a deflated one, whose size shows only when it is inflated."""
    sizes = [part.record.size for part in view.parts]
    if view.parts[0].row.kind != Kind.ORIGINAL.value and sizes[0] + sum(sizes[2:]) > MOST_DESCRIBED:
        raise _too_large()


async def described(
    blobs: BlobStore,
    cipher: CipherPool,
    scrubber: Scrubber,
    view: ReadyView,
    bulk: tuple[str, str],
    *,
    begun: bool = False,
) -> bytes:
    """The model as JSON. `bulk`: what stands before and behind the name of a value in its address, of those that do
    not stand in it; `begun`: as in `Scrubber.run`. Raises TooLarge, Damaged, TooManyRequests."""
    head, tail = await heads.head_and_tail(blobs, cipher, view, MOST_DESCRIBED)
    if head is None:
        raise _too_large()
    begin = b""
    if len(view.parts) > 1 and view.parts[1].row.kind == Kind.PIXELS.value:
        at = view.parts[0].record.size
        pieces = stream.clear(blobs, view, at, at + _PIXELS_BEGIN)
        begin = b"".join([bytes(piece) async for piece in pieces])
    try:
        await cipher.run(partial(read_meta, head))
    except NotDicom as why:
        raise Damaged("the head of a view cannot be read") from why
    try:
        return await scrubber.run(Tell(head, tail, begin, bulk), begun=begun)
    except ScrubRefused as why:
        raise _too_much() from why


async def bulk_span(
    blobs: BlobStore, cipher: CipherPool, scrubber: Scrubber, view: ReadyView, path: Path
) -> tuple[Span, int]:
    """Where a value that `described` tells to fetch lies among the view's bytes, and of how many bytes its words are,
    where those are big endian. Raises NotFound, as `described`."""
    if view.parts[0].row.kind == Kind.ORIGINAL.value:
        raise _none()
    head, tail = await heads.head_and_tail(blobs, cipher, view, MOST_DESCRIBED)
    if head is None:
        raise _none()
    try:
        found = await scrubber.run(Seek(head, tail, path))
    except ScrubRefused as why:
        raise _too_much() from why
    if found is None:
        raise _none()
    base = view.size - len(tail) if found.in_tail else 0
    return (base + found.start, base + found.stop), found.word


def _too_much() -> TooLarge:
    return TooLarge("what an image says is too much to be told as JSON", remedy="retrieve the instance")


def _too_large() -> TooLarge:
    return TooLarge(
        f"an image has more than {MOST_DESCRIBED >> 20} MiB beside its pixels", remedy="retrieve the instance"
    )


def _none() -> NotFound:
    return NotFound("the image has no such value that is fetched by itself")
