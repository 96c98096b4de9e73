"""What a view's bytes say beside its pixels, as the DICOM JSON Model; and values that are too long to stand in it."""

from collections.abc import Callable
from functools import partial
from typing import Final

import orjson

from mdm_async.blobs.store import BlobStore
from mdm_async.dicom.filemeta import read_meta
from mdm_async.dicom.json_model import Path, bulk_of, model_of
from mdm_async.dicom.part10 import Kind
from mdm_async.errors import Damaged, NotDicom, NotFound, TooLarge
from mdm_async.images.cipher_pool import CipherPool
from mdm_async.images.reading import heads, stream
from mdm_async.images.reading.representation import Span
from mdm_async.images.reading.view import ReadyView

MOST_DESCRIBED: Final = 16 << 20
"""Bytes before and after the pixels. Of more, a model of it would be too large."""
_PIXELS_BEGIN: Final = 8
_TRANSFER_SYNTAX: Final = "00083002"
"""Available Transfer Syntax UID: file meta does not stand in a model."""


async def described(
    blobs: BlobStore, cipher: CipherPool, view: ReadyView, bulk: Callable[[Path], str]
) -> bytes:
    """The model as JSON. `bulk`: the address of a value that does not stand in it. Raises TooLarge, Damaged."""
    head, tail = await heads.head_and_tail(blobs, cipher, view, MOST_DESCRIBED)
    if head is None:
        raise TooLarge(
            f"an image has more than {MOST_DESCRIBED >> 20} MiB beside its pixels",
            remedy="retrieve the instance",
        )
    begin = b""
    if len(view.parts) > 1 and view.parts[1].row.kind == Kind.PIXELS.value:
        at = view.parts[0].record.size
        pieces = stream.clear(blobs, view, at, at + _PIXELS_BEGIN)
        begin = b"".join([bytes(piece) async for piece in pieces])
    try:
        return await cipher.run(partial(_told, head, tail, begin, bulk))
    except NotDicom as why:
        raise Damaged("the head of a view cannot be read") from why


def _told(head: bytes, tail: bytes, begin: bytes, bulk: Callable[[Path], str]) -> bytes:
    meta = read_meta(head)
    model = model_of(head, tail, bulk)
    model[_TRANSFER_SYNTAX] = {"vr": "UI", "Value": [meta.transfer_syntax]}
    if begin:
        tag = meta.encoding.u16.unpack_from(begin, 0)[0] << 16 | meta.encoding.u16.unpack_from(begin, 2)[0]
        vr = begin[4:6].decode("ascii", "replace") if meta.encoding.explicit else "OW"
        # Of big endian words there is no bulk, which is little endian.
        where = {} if meta.encoding.big_endian and vr != "OB" else {"BulkDataURI": bulk((tag,))}
        model[f"{tag:08X}"] = {"vr": vr, **where}
    return orjson.dumps(dict(sorted(model.items())))


async def bulk_span(blobs: BlobStore, cipher: CipherPool, view: ReadyView, path: Path) -> Span:
    """Where a value that `described` tells to fetch lies among the view's bytes. Raises NotFound, as `described`."""
    if view.parts[0].row.kind == Kind.ORIGINAL.value:
        raise _none()
    head, tail = await heads.head_and_tail(blobs, cipher, view, MOST_DESCRIBED)
    if head is None:
        raise _none()
    found = await cipher.run(partial(bulk_of, head, tail, path))
    if found is None:
        raise _none()
    base = view.size - len(tail) if found.in_tail else 0
    return base + found.start, base + found.stop


def _none() -> NotFound:
    return NotFound("the image has no such value that is fetched by itself")
