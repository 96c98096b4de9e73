"""A byte range of a view, decrypted as it goes: only the covering segments, one job ahead of the socket."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from functools import partial
from itertools import groupby

from mdm_async.blobs.ahead import one_ahead
from mdm_async.blobs.store import BlobStore
from mdm_async.errors import Damaged
from mdm_async.images.reading.opened import Readers, opened
from mdm_async.images.reading.suspects import suspect
from mdm_async.images.reading.view import ReadyView, Run


async def clear(blobs: BlobStore, view: ReadyView, start: int, stop: int) -> AsyncGenerator[memoryview, None]:
    """The view's bytes start ≤ i < stop, in pieces of up to a mebibyte."""
    async with (
        opened(blobs, view.blobs(start, stop), view) as readers,
        aclosing(decrypted(readers, view, start, stop)) as pieces,
    ):
        async for piece in pieces:
            yield piece


async def decrypted(
    readers: Readers, view: ReadyView, start: int, stop: int
) -> AsyncGenerator[memoryview, None]:
    """As `clear`, of blobs that are open already."""
    for kind, pieces in groupby(view.runs(start, stop), key=type):
        if kind is not Run:
            for piece in pieces:
                assert isinstance(piece, memoryview)
                yield piece
            continue
        jobs = (partial(_read, readers, run) for run in pieces if isinstance(run, Run))
        async with aclosing(one_ahead(jobs)) as opening:
            async for plain in opening:
                yield plain


async def first_part(blobs: BlobStore, view: ReadyView) -> bytes:
    """A view's head, whole."""
    size = view.parts[0].record.size
    return b"".join([bytes(piece) async for piece in clear(blobs, view, 0, size)])


async def _read(readers: Readers, run: Run) -> memoryview:
    assert run.part.row.blob is not None
    try:
        return await readers[run.part.row.blob].apply(run.offset, run.size, run.open)
    except Damaged:
        suspect(run.part.row.image)
        raise
