"""A byte range of a view, decrypted as it goes: only the covering segments, one job ahead of the socket."""

import asyncio
from collections.abc import AsyncGenerator

from mdm_async.blobs.store import BlobReader, BlobStore
from mdm_async.images.reading.view import ReadyView, Run


async def clear(blobs: BlobStore, view: ReadyView, start: int, stop: int) -> AsyncGenerator[memoryview, None]:
    """The view's bytes start ≤ i < stop, in pieces of up to a mebibyte."""
    readers: dict[str, BlobReader] = {}
    ahead: asyncio.Task[memoryview] | None = None
    work = list(view.runs(start, stop))
    try:
        for place, piece in enumerate(work):
            if isinstance(piece, memoryview):
                yield piece
                continue
            opened = await (ahead or _read(blobs, readers, piece))
            following = work[place + 1] if place + 1 < len(work) else None
            ahead = (
                asyncio.ensure_future(_read(blobs, readers, following))
                if isinstance(following, Run)
                else None
            )
            yield opened
    finally:
        if ahead is not None:
            ahead.cancel()
        for reader in readers.values():
            reader.close()
        if ahead is not None:
            # It may have failed already, which nobody wants to know any more.
            await asyncio.gather(ahead, return_exceptions=True)


async def first_part(blobs: BlobStore, view: ReadyView) -> bytes:
    """A view's head, whole."""
    size = view.parts[0].record.size
    return b"".join([bytes(piece) async for piece in clear(blobs, view, 0, size)])


async def _read(blobs: BlobStore, readers: dict[str, BlobReader], run: Run) -> memoryview:
    blob = run.part.row.blob
    assert blob is not None
    reader = readers.get(blob.hex)
    if reader is None:
        reader = readers[blob.hex] = blobs.open(blob)
    return await reader.apply(run.offset, run.size, run.open)
